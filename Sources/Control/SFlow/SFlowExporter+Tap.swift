import Dataplane
import Topology

/// Where samples come from.
extension SFlowExporter {
    /// Every port, tunnel and underlay that there is or comes: a new port is sampled without another
    /// tap.
    static func tap(for spec: SFlowSpec, of controller: Controller) -> CaptureTap {
        CaptureTap(
            ports: nil, points: .ingress, snapLength: spec.headerByteCount,
            samplingInterval: UInt32(spec.sampling), workers: controller.options.workers,
            portCapacity: controller.fabric.portCapacity, ringByteCount: 1 << 20)
    }
}

extension SFlowDatagram.Output {
    /// As the forwarding function decided; what became of the copies at their ports is told by those
    /// ports' counters.
    init(_ record: FrameRecord) {
        switch record.action {
        case .forward: self = .port(SFlowExporter.index(of: record.egress))
        case .flood: self = .several(0)
        // The switch itself.
        case .consume: self = .port(0x3FFF_FFFF)
        case .drop: self = .dropped(record.reason.sflowReason)
        }
    }
}

extension DropReason {
    /// The nearest of the specification's reasons (section 5, "interface").
    fileprivate var sflowReason: UInt32 {
        switch self {
        // Packet too big.
        case .oversize, .overlayMTU: 262
        // No buffer space.
        case .noFrameSlot, .egressFull, .egressHandoffFull: 259
        // ACL: what the configuration forbids.
        case .vlanNotAllowed, .untaggedOnTrunk, .tagOnAccess, .secondTag, .sourcePinned, .isolated,
            .notMember, .portDown, .unknownVTEP, .unknownVNI:
            258
        // Unknown.
        default: 256
        }
    }
}
