/// Traffic of a port, a network or the whole switch. The two sums in the schema always hold.
package struct TrafficCounters: APIValue {
    package var receivedFrames: UInt64
    package var receivedBytes: UInt64
    package var receivedSegments: UInt64
    package var forwardedFrames: UInt64
    package var floodedFrames: UInt64
    package var consumedFrames: UInt64
    package var ingressDroppedFrames: UInt64
    package var egressCopies: UInt64
    package var transmittedFrames: UInt64
    package var transmittedBytes: UInt64
    package var transmittedSegments: UInt64
    package var queuedFrames: UInt64
    package var egressDroppedFrames: UInt64

    package init(
        receivedFrames: UInt64 = 0, receivedBytes: UInt64 = 0, receivedSegments: UInt64 = 0,
        forwardedFrames: UInt64 = 0, floodedFrames: UInt64 = 0, consumedFrames: UInt64 = 0,
        ingressDroppedFrames: UInt64 = 0, egressCopies: UInt64 = 0, transmittedFrames: UInt64 = 0,
        transmittedBytes: UInt64 = 0, transmittedSegments: UInt64 = 0, queuedFrames: UInt64 = 0,
        egressDroppedFrames: UInt64 = 0
    ) {
        self.receivedFrames = receivedFrames
        self.receivedBytes = receivedBytes
        self.receivedSegments = receivedSegments
        self.forwardedFrames = forwardedFrames
        self.floodedFrames = floodedFrames
        self.consumedFrames = consumedFrames
        self.ingressDroppedFrames = ingressDroppedFrames
        self.egressCopies = egressCopies
        self.transmittedFrames = transmittedFrames
        self.transmittedBytes = transmittedBytes
        self.transmittedSegments = transmittedSegments
        self.queuedFrames = queuedFrames
        self.egressDroppedFrames = egressDroppedFrames
    }

    package enum CodingKeys: String, CodingKey {
        case receivedFrames = "received_frames"
        case receivedBytes = "received_bytes"
        case receivedSegments = "received_segments"
        case forwardedFrames = "forwarded_frames"
        case floodedFrames = "flooded_frames"
        case consumedFrames = "consumed_frames"
        case ingressDroppedFrames = "ingress_dropped_frames"
        case egressCopies = "egress_copies"
        case transmittedFrames = "transmitted_frames"
        case transmittedBytes = "transmitted_bytes"
        case transmittedSegments = "transmitted_segments"
        case queuedFrames = "queued_frames"
        case egressDroppedFrames = "egress_dropped_frames"
    }

    package static let schema = APISchema(
        "TrafficCounters",
        "Frames counted since the start. "
            + "Ingress: received = forwarded + flooded + consumed + dropped. "
            + "Egress: copies = transmitted + queued + dropped.",
        [
            .init("received_frames", .integer, "Frames received, a super-frame counted once."),
            .init("received_bytes", .integer, "Bytes of the frames received, without FCS."),
            .init(
                "received_segments", .integer,
                "Frames received, a super-frame counted as its segments."),
            .init("forwarded_frames", .integer, "Received frames sent to one port."),
            .init(
                "flooded_frames", .integer, "Received frames sent to every port of their network."),
            .init("consumed_frames", .integer, "Received frames that the switch itself took."),
            .init("ingress_dropped_frames", .integer, "Received frames dropped."),
            .init(
                "egress_copies", .integer,
                "Frames handed to the egress, each copy of a flood counted."),
            .init(
                "transmitted_frames", .integer, "Frames transmitted, a super-frame counted once."),
            .init("transmitted_bytes", .integer, "Bytes of the frames transmitted, without FCS."),
            .init(
                "transmitted_segments", .integer,
                "Frames transmitted, a super-frame counted as its segments."),
            .init("queued_frames", .integer, "Copies that wait for their port now."),
            .init("egress_dropped_frames", .integer, "Copies dropped at the egress."),
        ])
}
