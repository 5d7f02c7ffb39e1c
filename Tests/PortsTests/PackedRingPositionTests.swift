import TestSupport
import Testing

@testable import Ports

@Suite("A packed ring says of itself where it stands")
struct PackedRingPositionTests {
    /// A driver and a device going round a ring: what each has written of a descriptor.
    private struct Ring {
        let size: Int
        var flags: [UInt16]
        var driver = (place: 0, round: true)
        var device = (place: 0, round: true)
        /// Descriptors that are available, by buffer.
        var open: [Int] = []

        init(size: Int) {
            self.size = size
            flags = Array(repeating: 0, count: size)
        }

        var position: UInt16 { UInt16(device.place) | (device.round ? 0x8000 : 0) }
        var free: Int { size - open.reduce(0, +) }

        mutating func add(_ count: Int) {
            for _ in 0..<count {
                flags[driver.place] = driver.round ? 1 << 7 : 1 << 15
                advance(&driver)
            }
            open.append(count)
        }

        /// The first is marked, the others are passed over.
        mutating func use() {
            let count = open.removeFirst()
            flags[device.place] = device.round ? 1 << 7 | 1 << 15 : 0
            for _ in 0..<count { advance(&device) }
        }

        private func advance(_ cursor: inout (place: Int, round: Bool)) {
            cursor.place += 1
            if cursor.place == size { cursor = (0, !cursor.round) }
        }

        func read() -> PackedRingPosition {
            var bytes: [UInt8] = []
            for flag in flags {
                bytes += [UInt8](repeating: 0x11, count: 14)
                bytes.append(flag)
            }
            return bytes.withUnsafeBytes { PackedRingPosition($0.baseAddress!, size: size) }
        }
    }

    @Test("with a descriptor for a buffer it is found wherever it is, and a stale one corrected")
    func single() {
        var random = SeededRandom(seed: 11)
        for size in [1, 2, 3, 7, 64, 256] {
            var ring = Ring(size: size)
            for _ in 0..<(20 * size) {
                if Bool.random(using: &random) {
                    if ring.free > 0 { ring.add(1) }
                } else if !ring.open.isEmpty {
                    ring.use()
                }
                let read = ring.read()
                #expect(read.found == ring.position)
                #expect(read.corrected(ring.position, isMergeable: true) == ring.position)
            }
        }
    }

    @Test("a ring to receive into that is kept full is gone on with after a restart")
    func receiveRing() {
        var random = SeededRandom(seed: 12)
        var ring = Ring(size: 256)
        for _ in 0..<256 { ring.add(1) }
        var wrong = 0
        for _ in 0..<4000 {
            ring.use()
            if Int.random(in: 0..<8, using: &random) == 0 { while ring.free > 0 { ring.add(1) } }
            // What QEMU says whatever has happened.
            if ring.read().corrected(0x8000, isMergeable: true) != ring.position { wrong += 1 }
        }
        // Two positions near the end of every second round look as if a chain had been passed over.
        #expect(wrong <= 4000 / 512 * 2 + 2)
    }

    @Test("a ring to transmit by that the device keeps empty is gone on with after a restart")
    func transmitRing() {
        var ring = Ring(size: 256)
        for _ in 0..<2000 {
            ring.add(1)
            ring.use()
            #expect(ring.read().corrected(0x8000, isMergeable: false) == ring.position)
        }
    }

    @Test("a position that is right is kept, whatever chains the driver makes")
    func chains() {
        var random = SeededRandom(seed: 13)
        for size in [64, 256] {
            var ring = Ring(size: size)
            for _ in 0..<(40 * size) {
                let count = Int.random(in: 1...20, using: &random)
                if Bool.random(using: &random) {
                    if ring.free >= count { ring.add(count) }
                } else if !ring.open.isEmpty {
                    ring.use()
                }
                #expect(ring.read().corrected(ring.position, isMergeable: false) == ring.position)
            }
        }
    }

    @Test("a new ring is at its beginning, in the first round")
    func new() {
        var ring = Ring(size: 16)
        for _ in 0...16 {
            #expect(ring.read().corrected(0x8000, isMergeable: true) == 0x8000)
            if ring.free > 0 { ring.add(1) }
        }
    }

    @Test("a ring of garbage gives a position in it, or none")
    func garbage() {
        var random = SeededRandom(seed: 14)
        for size in [1, 2, 5, 100] {
            for _ in 0..<500 {
                var ring = Ring(size: size)
                for place in 0..<size {
                    ring.flags[place] = UInt16(truncatingIfNeeded: random.next())
                }
                let claimed = UInt16(truncatingIfNeeded: random.next())
                let corrected = ring.read().corrected(
                    claimed, isMergeable: Bool.random(using: &random))
                #expect(corrected == claimed || Int(corrected & 0x7FFF) < size)
            }
        }
    }
}
