/// A running capture as the dataplane sees it: which ports, how much of each frame, and a ring per
/// worker to put it in.
///
/// A tap is part of a ``Snapshot``; while a snapshot has none, forwarding pays one flag test per
/// burst for them.
package final class CaptureTap: Sendable {
    package let snapLength: Int
    package let capturesIngress: Bool
    package let capturesEgress: Bool
    package let rings: [CaptureRing]
    private let portNumbers: Set<UInt16>

    /// - Parameters:
    ///   - snapLength: bytes kept of each frame at most.
    ///   - ringByteCount: a power of two, per worker.
    package init(
        ports: Set<UInt16>, snapLength: Int, capturesIngress: Bool = true,
        capturesEgress: Bool = true, workers: Int, portCapacity: Int = 4096,
        ringByteCount: Int = 4 << 20
    ) {
        portNumbers = ports
        self.snapLength = max(1, min(snapLength, SlotSize.maximumFrame))
        self.capturesIngress = capturesIngress
        self.capturesEgress = capturesEgress
        rings = (0..<workers).map { _ in
            CaptureRing(capacity: ringByteCount, portCapacity: portCapacity)
        }
    }

    package func covers(port: UInt16) -> Bool { portNumbers.contains(port) }

    /// Records that found no room in the rings, by port.
    package var dropped: [UInt16: UInt64] {
        var result: [UInt16: UInt64] = [:]
        for port in portNumbers { result[port] = rings.reduce(0) { $0 + $1.dropped(port: port) } }
        return result
    }
}
