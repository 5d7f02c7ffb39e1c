import Capture
import Dataplane

/// What a capture says of each frame, in the names of the topology: the comment of its block, and its
/// verdict as a number.
///
/// Most frames of a capture have one of a few fates, and mostly that of the frame before, so that
/// what is said of a fate is made once and kept.
struct CaptureWords {
    private let ports: [UInt16: String]
    private let networks: [UInt16: String]
    private var kept: [UInt64: PcapngRemarks] = [:]
    private var last: (fate: UInt64, remarks: PcapngRemarks)?
    private static let limit = 4096

    init(_ model: SwitchModel) {
        ports = Dictionary(
            model.countedNames.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first }
        )
        networks = Dictionary(
            model.domains.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
    }

    mutating func remarks(_ record: FrameRecord) -> PcapngRemarks {
        let fate = record.fate
        if let last, last.fate == fate { return last.remarks }
        let remarks = kept[fate] ?? makeRemarks(record)
        if kept.count >= CaptureWords.limit { kept.removeAll() }
        kept[fate] = remarks
        last = (fate, remarks)
        return remarks
    }

    private func makeRemarks(_ record: FrameRecord) -> PcapngRemarks {
        PcapngRemarks(
            direction: record.isEgress ? .egress : .ingress, comment: sentence(record),
            verdict: CaptureWords.verdict(record))
    }

    private func sentence(_ record: FrameRecord) -> String {
        let network = networks[record.domain].map { " in network \($0)" } ?? ""
        switch record.point {
        case .ingress:
            return verdict(record, network) + learning(record)
        case .egress:
            return record.ingress.map { "from \(port($0))\(network)" }
                ?? "the switch's own\(network)"
        case .drop:
            let origin = record.reason.isEgress ? record.ingress.map { "; from \(port($0))" } : nil
            return dropped(record.reason) + network + (origin ?? "")
        }
    }

    private func verdict(_ record: FrameRecord, _ network: String) -> String {
        switch record.action {
        case .forward: "forwarded to \(port(record.egress))\(network)"
        case .flood: "flooded\(network)"
        case .consume: "consumed: the switch's own probe came back"
        case .drop: dropped(record.reason) + network
        }
    }

    private func dropped(_ reason: DropReason) -> String {
        "dropped: \(reason.name): \(reason.sentence)"
    }

    private func learning(_ record: FrameRecord) -> String {
        switch record.learning {
        case .none, .refresh: ""
        case .learn: "; source learned"
        case .move: "; source moved here"
        }
    }

    private func port(_ number: UInt16) -> String { ports[number] ?? "a port that is gone" }

    /// As the kernel's traffic control numbers what it does with a packet (TC_ACT_…), which readers
    /// know by name: OK, SHOT, STOLEN and REDIRECT.
    private static func verdict(_ record: FrameRecord) -> PcapngVerdict {
        if record.reason != .none { return .trafficControl(2) }
        guard record.point == .ingress else { return .trafficControl(0) }
        switch record.action {
        case .flood: return .trafficControl(0)
        case .drop: return .trafficControl(2)
        case .consume: return .trafficControl(4)
        case .forward: return .trafficControl(7)
        }
    }
}
