import Capture
import Dataplane

/// What a capture says of each frame, in the names of the topology: the comment of its block, and its
/// verdict as a number.
///
/// Most frames of a capture have one of a few fates, so that sentences are made once and kept.
struct CaptureWords {
    private let ports: [UInt16: String]
    private let networks: [UInt16: String]
    private var kept: [Fate: String] = [:]
    private static let limit = 4096

    /// What a sentence depends on.
    private struct Fate: Hashable {
        var point: FrameRecord.Point
        var action: Verdict.Action
        var learning: Verdict.Learning
        var reason: DropReason
        var domain: UInt16
        var other: UInt16
    }

    init(_ model: SwitchModel) {
        ports = Dictionary(
            model.countedNames.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first }
        )
        networks = Dictionary(
            model.domains.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
    }

    mutating func comment(_ record: FrameRecord) -> String {
        let fate = Fate(
            point: record.point, action: record.action, learning: record.learning,
            reason: record.reason, domain: record.domain,
            other: record.point == .ingress ? record.egress : record.ingress ?? .max)
        if let known = kept[fate] { return known }
        if kept.count >= CaptureWords.limit { kept.removeAll() }
        let text = sentence(record)
        kept[fate] = text
        return text
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
    static func verdict(_ record: FrameRecord) -> PcapngVerdict {
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
