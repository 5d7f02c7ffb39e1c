/// All rows, in the order of the table.
enum Catalogue {
    static let rows: [any Row] =
        [
            TCPRow(
                id: "tap-tcp", against: { $0.twin }, peer: "C twin",
                goal: .ratio(floor: 0.95, aim: 1.05), isClose: true),
            TCPRow(
                id: "tap-tcp-4", flows: 4, against: { $0.twin }, peer: "C twin",
                goal: .ratio(floor: 0.95, aim: 1.05), isClose: true),
            SmallFramesRow(
                id: "tap-64", against: { $0.twin }, peer: "C twin",
                goal: .ratio(floor: 0.95, aim: 1.25), isClose: true),
            TCPRow(
                id: "tap-tcp-ovs", against: { _ in OpenVSwitchSystem() }, peer: "Open vSwitch",
                goal: .ratio(floor: 10, aim: 15)),
            TCPRow(
                id: "tap-tcp-ovs-tso",
                against: { _ in OpenVSwitchSystem(settings: ["userspace-tso-enable=true"]) },
                peer: "Open vSwitch, TSO on", goal: .none),
            SmallFramesRow(
                id: "tap-64-ovs", against: { _ in OpenVSwitchSystem() }, peer: "Open vSwitch",
                goal: .ratio(floor: 2, aim: 3)),
            TCPRow(
                id: "tap-tcp-vde", against: { _ in VDESystem() }, peer: "VDE2",
                goal: .ratio(floor: 15, aim: 25)),
            SmallFramesRow(
                id: "tap-64-vde", against: { _ in VDESystem() }, peer: "VDE2",
                goal: .ratio(floor: 4, aim: 6)),
            TCPRow(
                id: "tap-tcp-bridge", against: { _ in BridgeSystem() }, peer: "Linux bridge",
                goal: .ratio(floor: 0.65, aim: 1.0)),
            SmallFramesRow(
                id: "tap-64-bridge", against: { _ in BridgeSystem() }, peer: "Linux bridge",
                goal: .ratio(floor: 1.0, aim: 1.3)),
            CoreRow(id: "core-16", addresses: 16),
            CoreRow(id: "core-4k", addresses: 4096),
            CoreRow(id: "core-50k", addresses: 50_000),
            CoreRow(id: "core-1m", addresses: 1_000_000),
            LatencyRow(isLoaded: false),
            LatencyRow(isLoaded: true),
            ZeroLossRow(size: 64, isConfirmed: true),
            ZeroLossRow(size: 128),
            ZeroLossRow(size: 256),
            ZeroLossRow(size: 512),
            ZeroLossRow(size: 1024),
            ZeroLossRow(size: 1280),
            ZeroLossRow(size: 1518, isConfirmed: true),
            LearningRow(),
            CapacityRow(),
            BroadcastRow(),
            IdleRow(),
            StoppedReaderRow(.pipe),
            StoppedReaderRow(.device),
            WorkersRow(),
            OverlayRow(
                id: "overlay-vxlan-wire", underlay: .wire, peer: .kernel,
                goal: .ratio(floor: 1.0, aim: 1.3)),
            OverlayRow(
                id: "overlay-vxlan-card", underlay: .card, peer: .kernel,
                goal: .ratio(floor: 1.0, aim: 1.3)),
            OverlayRow(
                id: "overlay-vxlan-host", underlay: .sameHost, peer: .kernel,
                goal: .ratio(floor: 0.5, aim: 0.8)),
            OverlayRow(
                id: "overlay-vxlan-ovs-wire", underlay: .wire, peer: .openVSwitch,
                goal: .ratio(floor: 8, aim: 12)),
            OverlayRow(
                id: "overlay-vxlan-ovs-host", underlay: .sameHost, peer: .openVSwitch,
                goal: .ratio(floor: 8, aim: 12)),
            OverlayRow(
                id: "overlay-geneve-ovs-wire", kind: .geneve, underlay: .wire, peer: .openVSwitch,
                goal: .ratio(floor: 8, aim: 12)),
            OverlayRow(
                id: "overlay-geneve-ovs-host", kind: .geneve, underlay: .sameHost,
                peer: .openVSwitch, goal: .ratio(floor: 8, aim: 12)),
            OverlayRow(
                id: "overlay-64-ovs-wire", underlay: .wire, peer: .openVSwitch, load: .smallFrames,
                goal: .ratio(floor: 2, aim: 3)),
            OverlayRow(
                id: "overlay-64-ovs-host", underlay: .sameHost, peer: .openVSwitch,
                load: .smallFrames, goal: .ratio(floor: 2, aim: 3)),
            ScaleRow(),
            TraceReplayRow(),
            VhostRow(
                id: "vhost-64-split", size: 64, peer: .testpmd,
                goal: .ratio(floor: 0.8, aim: 1.0)),
            VhostRow(
                id: "vhost-64-packed", size: 64, isPacked: true, peer: .testpmd,
                goal: .ratio(floor: 0.8, aim: 1.0)),
            VhostRow(
                id: "vhost-1518-split", size: 1518, peer: .testpmd,
                goal: .ratio(floor: 1.1, aim: 1.4)),
            VhostRow(
                id: "vhost-1518-packed", size: 1518, isPacked: true, peer: .testpmd,
                goal: .ratio(floor: 1.1, aim: 1.4)),
            VhostHostsRow(),
            VhostRow(
                id: "ovsdpdk-64", size: 64, peer: .openVSwitch,
                goal: .ratio(floor: 1.2, aim: 1.8)),
            VhostRow(
                id: "ovsdpdk-1518", size: 1518, peer: .openVSwitch,
                goal: .ratio(floor: 1.2, aim: 1.6)),
            VhostRow(
                id: "ovsdpdk-10k", size: 64, pairs: 10_000, peer: .openVSwitch,
                goal: .ratio(floor: 1.5, aim: 3)),
            VhostBulkRow(),
            VhostIdleRow(),
            VethRow(
                id: "veth-tcp-ovs", load: .tcp, peer: .betterOpenVSwitch,
                goal: .ratio(floor: 2.5, aim: 4)),
            VethRow(id: "veth-tcp-ovs-tso", load: .tcp, peer: .openVSwitchTSO, goal: .none),
            VethRow(
                id: "veth-tcp-bridge", load: .tcp, peer: .bridge,
                goal: .ratio(floor: 0.4, aim: 0.6)),
            VethRow(
                id: "veth-64-ovs", load: .smallFrames, peer: .betterOpenVSwitch,
                goal: .ratio(floor: 1.0, aim: 1.3)),
            RecorderRow(),
            CoreCostRow(subject: .recorder),
            CoreCostRow(subject: .captureOff),
            FilteredCaptureRow(),
            FullCaptureRow(.everything),
            FullCaptureRow(.onePort),
            SameTCPRow(),
            SameSmallFramesRow(),
        ]

    /// The rows that have a line whose id matches one of the comma-separated patterns, in which a
    /// star stands for anything.
    static func select(_ patterns: String) -> [any Row] {
        let patterns = patterns.split(separator: ",").map {
            $0.split(separator: "*", omittingEmptySubsequences: false)
        }
        return rows.filter { row in
            row.lines.contains { line in patterns.contains { matches(line.id[...], $0) } }
        }
    }

    /// Whether the text consists of the pieces in their order with anything between them.
    private static func matches(_ text: Substring, _ pieces: [Substring]) -> Bool {
        guard let first = pieces.first, text.hasPrefix(first) else { return false }
        let rest = text.dropFirst(first.count)
        guard pieces.count > 1 else { return rest.isEmpty }
        return (0...rest.count).contains { matches(rest.dropFirst($0), Array(pieces.dropFirst())) }
    }
}
