import Testing

@testable import Ports

/// Messages as a front-end writes them.
enum VhostTestMessage {
    /// What an answer of eight bytes says.
    static func number(_ bytes: [UInt8]?) throws -> UInt64 {
        let bytes = try #require(bytes)
        try #require(bytes.count == 8)
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }

    static func bytes(
        _ request: UInt32, _ payload: [UInt8] = [], flags: UInt32 = 1
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(request)
        bytes.append(flags)
        bytes.append(UInt32(payload.count))
        return bytes + payload
    }

    static func bytes(
        _ request: VhostRequest, _ payload: [UInt8] = [], flags: UInt32 = 1
    ) -> [UInt8] {
        bytes(request.rawValue, payload, flags: flags)
    }

    static func long(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(value)
        return bytes
    }

    static func state(_ queue: UInt32, _ value: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(queue)
        bytes.append(value)
        return bytes
    }

    static func address(_ queue: UInt32, _ address: VhostRingAddress) -> [UInt8] {
        var bytes = state(queue, address.flags)
        for value in [address.descriptors, address.used, address.available, address.log] {
            bytes.append(value)
        }
        return bytes
    }

    static func region(_ region: VhostMemoryRegion) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [
            region.guestAddress, region.regionByteCount, region.frontEndAddress, region.offset,
        ] { bytes.append(value) }
        return bytes
    }

    static func table(_ regions: [VhostMemoryRegion]) -> [UInt8] {
        state(UInt32(regions.count), 0) + regions.flatMap(region)
    }

    static func inflight(_ inflight: VhostInflight) -> [UInt8] {
        var bytes = long(inflight.byteCount) + long(inflight.offset)
        bytes.append(inflight.queueCount)
        bytes.append(inflight.queueSize)
        return bytes + [0, 0, 0, 0]
    }
}
