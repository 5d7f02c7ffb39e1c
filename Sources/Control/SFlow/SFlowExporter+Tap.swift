import Dataplane
import Topology

/// Where samples come from.
extension SFlowExporter {
    /// Every port, tunnel and underlay that there may ever be: a port that comes later is sampled
    /// without another tap.
    static func tap(for spec: SFlowSpec, of controller: Controller) -> CaptureTap {
        CaptureTap(
            ports: Set(0..<UInt16(Controller.numberLimit)), snapLength: spec.headerByteCount,
            capturesIngress: true, capturesEgress: false, workers: controller.options.workers,
            portCapacity: controller.fabric.portCapacity, ringByteCount: 1 << 20)
    }

    /// Where the frame went, as far as its record tells.
    static func output(of record: CaptureRing.Record) -> SFlowDatagram.Output {
        record.reason == .none ? .unknown : .dropped(256)
    }
}
