/// Between two hosts on veth pairs, whose other ends are the switch's `device` ports.
struct VethRow: Row {
    enum Peer: Sendable {
        case bridge
        /// Whichever of its AF_PACKET and AF_XDP ports is faster here.
        case betterOpenVSwitch
        case openVSwitchTSO
    }
    enum Load: Sendable { case tcp, smallFrames }

    let id: String
    let load: Load
    let peer: Peer
    let goal: Goal

    var lines: [Line] {
        let against =
            switch peer {
            case .bridge: "Linux bridge"
            case .betterOpenVSwitch: "Open vSwitch, the better"
            case .openVSwitchTSO: "Open vSwitch, TSO on"
            }
        let how =
            switch load {
            case .tcp: "iperf3 there, then back, \(TCPLoad.congestionControl); mean of both"
            case .smallFrames:
                "sendmmsg on AF_PACKET from core 0; frames that the far device received"
            }
        let choice =
            peer == .betterOpenVSwitch
            ? "; the faster of AF_PACKET and AF_XDP ports by the median of three trials each" : ""
        return [
            Line(
                id: id,
                what: "veth to veth: "
                    + (load == .tcp ? "TCP, one flow, both ways" : "64-byte frames, flat out"),
                against: against, unit: load == .tcp ? "Gbit/s" : "kframes/s", isMoreBetter: true,
                goal: goal, how: how + choice)
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        let ours = HeddleDeviceSystem(binary: bench.heddle.binary)
        var note: String?
        let theirs: any System
        switch peer {
        case .bridge: theirs = BridgeSystem()
        case .openVSwitchTSO: theirs = OpenVSwitchDeviceSystem(kind: .packetTSO)
        case .betterOpenVSwitch:
            let choice = try better(bench)
            theirs = choice.system
            note = choice.note
        }
        let pairs = load == .tcp ? bench.pairs : bench.shortPairs
        return try bench.compare(lines, ours, theirs, pairs: pairs) { rig in
            try trial(bench, rig)
        }.map { finding in
            var finding = finding
            let notes = [note, finding.note].compactMap { $0 }
            finding.note = notes.isEmpty ? nil : notes.joined(separator: "; ")
            return finding
        }
    }

    private func trial(_ bench: Bench, _ rig: Rig) throws -> Trial {
        switch load {
        case .tcp: try TCPRow.trial(id, flows: 1, bench, rig)
        case .smallFrames: try SmallFramesRow.trial(id, bench, rig)
        }
    }

    /// The faster kind of port, and both kinds' figures.
    private func better(_ bench: Bench) throws -> (system: OpenVSwitchDeviceSystem, note: String) {
        var best: (system: OpenVSwitchDeviceSystem, value: Double)?
        var words: [String] = []
        for kind in [OpenVSwitchDeviceSystem.Kind.packet, .xdp] {
            let system = OpenVSwitchDeviceSystem(kind: kind)
            do {
                let value = try bench.withRig(of: system) { rig in
                    Statistics.median(
                        try (0..<3).compactMap { _ in try trial(bench, rig).values[id] })
                }
                words.append("\(kind.rawValue) \(Figure.short(value)) \(lines[0].unit)")
                if best.map({ value > $0.value }) ?? true { best = (system, value) }
            } catch let error as NotMeasured {
                words.append("\(kind.rawValue) not measured (\(error))")
            }
        }
        guard let best else { throw NotMeasured(words.joined(separator: "; ")) }
        return (
            best.system, "against \(best.system.kind.rawValue): " + words.joined(separator: ", ")
        )
    }
}
