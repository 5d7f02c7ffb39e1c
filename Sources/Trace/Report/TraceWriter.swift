import Dataplane
import Topology
import Wire

/// Puts an ``Explanation`` into sentences, in the order in which the switch decides.
struct TraceWriter {
    private let explanation: Explanation
    private let names: SwitchNames
    private let ingress: UInt16
    private(set) var steps: [TraceReport.Step] = []

    private var verdict: Verdict { explanation.verdict }

    init(_ explanation: Explanation, names: SwitchNames, ingress: UInt16) {
        self.explanation = explanation
        self.names = names
        self.ingress = ingress
    }

    mutating func write(_ frame: [UInt8]) {
        frame.withUnsafeBytes { bytes in
            for (place, line) in FrameDescription(bytes.bytes).lines.enumerated() {
                add(.header, place == 0 ? "\(line)  (\(counted(frame.count, "byte")))" : line)
            }
        }
        if let place = names.place(ingress) {
            add(.ingress, "\(place.name): \(place.membership)")
        }
        writeNetwork()
        guard explanation.wasLookedUp else { return }
        writeLearning()
        guard verdict.reason != .sourcePinned, verdict.action != .consume else { return }
        writeLookup()
        for copy in explanation.copies { write(copy) }
        for leftOut in explanation.leftOut {
            add(.leftOut, "\(names.name(of: leftOut.port)): \(words(leftOut.reason))")
        }
    }

    private mutating func add(_ kind: TraceReport.Kind, _ text: String) {
        steps.append(TraceReport.Step(kind, text))
    }

    private mutating func writeNetwork() {
        guard let network = names.network(verdict.domain) else { return }
        var text: String
        if case .tunnel? = names.place(ingress) {
            text = "the VNI says network \(network.name)"
        } else if let tci = explanation.tci, tci & 0xFFF != 0 {
            text = "tag of VLAN \(tci & 0xFFF): network \(network.name)"
        } else {
            text =
                (explanation.tci == nil ? "untagged" : "priority-tagged, VLAN 0")
                + ": network \(network.name)"
        }
        if explanation.segmentCount > 1 {
            text += ", super-frame of \(explanation.segmentCount) segments"
        }
        text += ", packet of \(counted(Int(explanation.packetByteCount), "byte"))"
        text += " (MTU \(explanation.mtu))"
        add(.network, text)
    }

    private mutating func writeLearning() {
        let port = names.name(of: ingress)
        let source = explanation.source
        let entry = explanation.sourceEntry
        switch verdict.learning {
        case .learn: add(.learning, "\(source) is new: learned behind \(port)")
        case .move:
            let from = entry.map { names.name(of: $0.port) } ?? "another port"
            add(.learning, "\(source) was behind \(from): moves to \(port)")
        case .refresh: add(.learning, "\(source) is known behind \(port): refreshed")
        case .none:
            guard let entry else { return }
            if entry.port == ingress {
                add(.learning, "\(source) is known behind \(port)\(age(entry))")
            } else if verdict.action == .consume {
                add(.learning, "\(source) is the switch's own address")
            } else {
                add(
                    .learning,
                    "\(source) is pinned to \(names.name(of: entry.port))\(age(entry))")
            }
        }
    }

    private mutating func writeLookup() {
        let destination = explanation.destination
        if let entry = explanation.destinationEntry {
            add(
                .lookup,
                "\(destination) is behind \(names.name(of: entry.port))\(age(entry))")
        } else if destination.isBroadcast {
            add(.lookup, "broadcast: to all members of the network")
        } else if destination.isMulticast {
            add(.lookup, "\(destination) is a group: to all members of the network")
        } else {
            add(.lookup, "\(destination) is unknown: to all members of the network")
        }
    }

    private func age(_ entry: Explanation.Entry) -> String {
        switch entry.kind {
        case .static: return " (static)"
        case .sticky: return " (sticky, heard \(seconds(entry.ageTicks)) ago)"
        case .dynamic: return " (learned, heard \(seconds(entry.ageTicks)) ago)"
        }
    }

    private func seconds(_ ticks: UInt32) -> String {
        let perSecond = FDB.ticksPerSecond
        return "\(ticks / perSecond).\(ticks % perSecond * 10 / perSecond) s"
    }

    private mutating func write(_ copy: Explanation.Copy) {
        let port = names.name(of: copy.port)
        switch copy.outcome {
        case .sent(let frames, let completesChecksum):
            var text = "to \(port), "
            text += copy.vid == 0 ? "untagged" : "tagged with VLAN \(copy.vid)"
            if frames > 1 {
                text += ", cut into \(frames) frames"
            } else if completesChecksum {
                text += ", its checksum completed"
            }
            add(.copy, text)
        case .encapsulated(let kind, let vni, let remote, let datagrams, let clampsMSS):
            var text = "to \(port): \(kind.title), VNI \(vni), to \(text(remote))"
            if datagrams > 1 { text += ", in \(datagrams) datagrams" }
            if clampsMSS { text += ", its MSS lowered to what fits" }
            add(.encapsulation, text)
        case .dropped(let reason, let limit):
            var text = "to \(port): dropped: \(reason.name): \(reason.sentence)"
            if let limit { text += " (\(explanation.packetByteCount) of at most \(limit) bytes)" }
            add(.dropped, text)
        }
    }

    private func text(_ address: UnderlayAddress) -> String {
        address.isIPv4
            ? IPv4Address(rawValue: address.ipv4).description
            : IPv6Address(high: address.high, low: address.low).description
    }

    private func words(_ reason: Snapshot.Exclusion) -> String {
        switch reason {
        case .ingress: "the frame came from there"
        case .isolated: "both ports are isolated"
        case .splitHorizon: "what came by a tunnel goes into no other"
        case .down: "it is down"
        case .noPeer: "nobody is at its other end"
        }
    }

    private func counted(_ count: Int, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
