/// A network that spans two hosts, a switch on each, over an underlay between two namespaces.
struct OverlayRow: Row {
    enum Peer: Sendable { case kernel, openVSwitch }
    enum Load: Sendable { case tcp, smallFrames }

    let id: String
    var kind = Overlay.Kind.vxlan
    let underlay: HostPair.Underlay
    let peer: Peer
    var load = Load.tcp
    let goal: Goal

    var lines: [Line] {
        let name = kind == .vxlan ? "VXLAN" : "Geneve"
        let work =
            switch load {
            case .tcp: "TCP, one flow, both ways"
            case .smallFrames: "64-byte frames, flat out"
            }
        let how =
            switch load {
            case .tcp: "iperf3 there, then back, \(TCPLoad.congestionControl); mean of both"
            case .smallFrames: "as tap-64"
            }
        let against =
            switch peer {
            case .kernel: "bridge + kernel vxlan"
            case .openVSwitch: "Open vSwitch"
            }
        return [
            Line(
                id: id, what: "\(name) between two hosts, \(underlay.rawValue): \(work)",
                against: against, unit: load == .tcp ? "Gbit/s" : "kframes/s", isMoreBetter: true,
                goal: goal,
                how: "\(underlay.description), MTU 1500, inner MTU \(Overlay.mtu); switches not "
                    + "pinned; \(how)")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        let ours = HeddleOverlaySystem(
            binary: bench.heddle.binary, kind: kind, underlay: underlay, cores: bench.cores)
        let theirs: any System =
            switch peer {
            case .kernel: BridgeVXLANSystem(underlay: underlay)
            case .openVSwitch:
                OpenVSwitchOverlaySystem(kind: kind, underlay: underlay, cores: bench.cores)
            }
        // Where many times as much is asked for, few pairs tell; that many short ones are cheap.
        let pairs = peer == .kernel ? bench.pairs : bench.isFull ? bench.pairs : 4
        return try bench.compare(lines, ours, theirs, pairs: pairs) { rig in
            switch load {
            case .tcp: try TCPRow.trial(id, flows: 1, bench, rig)
            case .smallFrames: try SmallFramesRow.trial(id, bench, rig)
            }
        }
    }
}
