import Dataplane
import Topology
import Wire

/// An explanation in words: the steps that a frame takes through the switch, and how it ends.
package struct TraceReport: Sendable, Equatable {
    /// What one line is about.
    package enum Kind: String, Sendable, CaseIterable {
        /// One header of the frame.
        case header
        case ingress
        case network
        case learning
        case lookup
        /// A copy that leaves by a port.
        case copy
        /// A copy that leaves by a tunnel.
        case encapsulation
        /// A copy that ends at its egress.
        case dropped
        /// A member of the network that gets no copy.
        case leftOut = "left-out"
        case verdict
        case remedy
    }

    package struct Step: Sendable, Equatable {
        package var kind: Kind
        package var text: String

        package init(_ kind: Kind, _ text: String) {
            self.kind = kind
            self.text = text
        }
    }

    /// The port or tunnel that the frame comes from.
    package var port: String
    package var steps: [Step] = []
    package var fate: Fate
    /// Nil for a frame that never came so far.
    package var network: String?
    /// Ports and tunnels that a copy leaves by.
    package var egress: [String]
    /// Why the frame, or the only copies of it, ended.
    package var reason: DropReason?

    /// The fate, and for a dropped frame why.
    package var verdict: String {
        guard let reason else { return "\(fate)" }
        return "\(fate): \(reason.sentence)"
    }

    package init(
        _ explanation: Explanation, frame: [UInt8], ingress: UInt16, names: SwitchNames
    ) {
        let verdict = explanation.verdict
        port = names.name(of: ingress)
        network = names.network(verdict.domain)?.name
        egress = explanation.copies.filter(\.leaves).map { names.name(of: $0.port) }
        // What ends at its only egress ends: whose counter it is charged to matters less here.
        if verdict.action == .drop {
            reason = verdict.reason
        } else if verdict.action == .forward,
            case .dropped(let why, _)? = explanation.copies.first?.outcome
        {
            reason = why
        } else {
            reason = nil
        }
        if let reason {
            fate = .dropped(reason)
        } else {
            switch verdict.action {
            case .forward: fate = .forwarded(names.name(of: verdict.egress))
            case .flood: fate = .flooded(egress.sorted())
            case .consume: fate = .consumed
            case .drop: fate = .dropped(verdict.reason)
            }
        }
        var writer = TraceWriter(explanation, names: names, ingress: ingress)
        writer.write(frame)
        steps = writer.steps
        steps.append(Step(.verdict, self.verdict))
        if let remedy = reason?.remedy, !remedy.isEmpty { steps.append(Step(.remedy, remedy)) }
    }
}

extension Explanation.Copy {
    /// Whether it is not dropped at its egress.
    fileprivate var leaves: Bool {
        if case .dropped = outcome { false } else { true }
    }
}
