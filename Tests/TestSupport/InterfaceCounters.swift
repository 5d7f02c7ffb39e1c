/// What the kernel has counted at an interface since it was made, from a line of /proc/net/dev.
package struct InterfaceCounters: Sendable {
    package var receivedFrames: UInt64 = 0
    package var receivedBytes: UInt64 = 0
    /// Dropped by the device on the way out: at a TAP, because its queue was full.
    package var transmitDropped: UInt64 = 0

    package init() {}

    /// - Parameter table: the bytes of /proc/net/dev; nil when the interface is not in it.
    package init?(of interface: String, in table: some Collection<UInt8>) {
        for line in table.split(separator: UInt8(ascii: "\n")) {
            let halves = line.split(separator: UInt8(ascii: ":"), maxSplits: 1)
            guard halves.count == 2 else { continue }
            let name = halves[0].drop { $0 == UInt8(ascii: " ") }
            guard name.elementsEqual(interface.utf8) else { continue }
            let fields = halves[1].split(separator: UInt8(ascii: " ")).map {
                UInt64(String(decoding: $0, as: UTF8.self)) ?? 0
            }
            // Receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes
            // packets errs drop.
            guard fields.count >= 12 else { return nil }
            receivedFrames = fields[1]
            receivedBytes = fields[0]
            transmitDropped = fields[11]
            return
        }
        return nil
    }

    package static func - (
        later: InterfaceCounters, earlier: InterfaceCounters
    ) -> InterfaceCounters {
        var difference = InterfaceCounters()
        difference.receivedFrames = later.receivedFrames &- earlier.receivedFrames
        difference.receivedBytes = later.receivedBytes &- earlier.receivedBytes
        difference.transmitDropped = later.transmitDropped &- earlier.transmitDropped
        return difference
    }
}
