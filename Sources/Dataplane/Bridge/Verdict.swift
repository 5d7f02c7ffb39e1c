/// What becomes of one frame, and what the switch learns from it: the value that ``Forwarding``
/// returns, that a worker carries out and that a trace prints.
package struct Verdict: Equatable, Sendable {
    package enum Action: UInt8, BitwiseCopyable, Sendable {
        /// To the one port in `egress`.
        case forward
        /// To every other member of the domain.
        case flood
        /// Nowhere, for `reason`.
        case drop
        /// It was the switch's own, which came back.
        case consume
    }

    package enum Learning: UInt8, BitwiseCopyable, Sendable {
        /// The source is not recorded.
        case none
        /// The source is known behind this port; its tick is to be brought up to date.
        case refresh
        /// The source is new.
        case learn
        /// The source was behind another port.
        case move
    }

    package var action: Action
    package var reason: DropReason
    package var learning: Learning
    /// The bridge domain the frame was classified to; 0 when it never got one.
    package var domain: UInt16
    /// The egress port of a forwarded frame.
    package var egress: UInt16
    /// The VLAN ID to tag with at `egress`; 0 for untagged.
    package var egressVID: UInt16
    /// The place of the source's FDB entry, for a refresh.
    package var sourceIndex: Int32 = -1

    @inline(__always)
    static func drop(_ reason: DropReason, domain: UInt16) -> Verdict {
        Verdict(
            action: .drop, reason: reason, learning: .none, domain: domain, egress: 0,
            egressVID: 0)
    }
}
