import Testing

@testable import Ports

@Suite("A vhost-user session tracks dirty pages and buffers in flight")
struct VhostSessionTrackingTests {
    private typealias Test = VhostTestMessage

    @Test("dirty pages are logged once there is a log and the wish, used rings where they are")
    func logging() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(0)
        #expect(test.device.running[0]?.usedLogAddress == nil)
        let reply = try test.say(
            .setLogBase, Test.long(1024) + Test.long(0), descriptors: 1)
        #expect(reply == [], "the front-end waits for an answer without a payload")
        #expect(test.device.log == nil)
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.logAll)
        #expect(test.device.log != nil)
        try test.say(
            .setRingAddress, Test.address(0, VhostTestSession.address(at: 0, flags: 1)))
        #expect(test.device.running[0]?.usedLogAddress == 0x10_8000)
        _ = try test.base(of: 0)
        let bits = test.system.mapped[1].bytes.assumingMemoryBound(to: UInt8.self)
        // The used ring of 256 entries: 2052 bytes at 0x10_8000.
        #expect(bits[0x108 / 8] == 1 << (0x108 % 8))
        try test.negotiate(VirtioFeature.version1)
        #expect(test.device.log == nil)
    }

    @Test("a packed ring's used entries are logged where its descriptors are")
    func packedLogging() throws {
        let test = VhostTestSession()
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.ringPacked)
        try test.giveMemory()
        try test.giveRing(1, base: 0x8000_8000, flags: 1)
        #expect(test.device.running[1]?.usedLogAddress == 0x11_0000)
    }

    @Test("pages are marked to the last one that a range touches, and none beyond the log")
    func marks() {
        let memory = VhostTestMemory(byteCount: 4)
        let bits = memory.bytes.assumingMemoryBound(to: UInt8.self)
        let log = DirtyLog(memory.bytes, byteCount: 2, keeping: memory)
        log.mark(guestAddress: 0x1FFF, byteCount: 2)
        #expect(bits[0] == 0b110)
        log.mark(guestAddress: 0x7000, byteCount: 0x1001)
        #expect(bits[0] == 0b1000_0110 && bits[1] == 1)
        log.mark(guestAddress: 0xF000, byteCount: 0x100_0000)
        log.mark(guestAddress: .max - 1, byteCount: 100)
        log.mark(guestAddress: 0x1_0000, byteCount: 1)
        log.mark(guestAddress: 0, byteCount: 0)
        #expect(bits[1] == 0b1000_0001 && bits[2] == 0)
    }

    @Test("a file for buffers in flight has a part for each queue, of the ring's layout")
    func inflight() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        let wanted = VhostInflight(byteCount: 0, offset: 0, queueCount: 4, queueSize: 256)
        let reply = try #require(try test.say(.getInflight, Test.inflight(wanted)))
        let part = 64 + 256 * 16  // A header of 16 bytes, and 64 in all with the last part's rest.
        #expect(try Test.number(Array(reply.prefix(8))) == UInt64(4 * part))
        try test.giveRing(0)
        try test.giveRing(1)
        let first = try #require(test.device.running[0]?.inflight)
        #expect(test.device.running[1]?.inflight == first + part)
        #expect(test.system.open.count == 4, "the file is the front-end's now")

        try test.say(
            .setInflight,
            Test.inflight(
                VhostInflight(
                    byteCount: UInt64(4 * part), offset: 64, queueCount: 4, queueSize: 256)),
            descriptors: 1)
        #expect(test.device.running[0]?.inflight == test.system.mapped.last?.bytes)
        for (byteCount, offset, queues, size) in [
            (4 * part - 1, 0, 4, 256), (4 * part, 4, 4, 256), (1 << 30, 0, 0, 256),
            (1 << 30, 0, 34, 256), (1 << 30, 0, 4, 32769), (1 << 30, 0, 4, 0),
        ] as [(Int, UInt64, UInt16, UInt16)] {
            #expect(throws: VhostFault.self) {
                try test.say(
                    .setInflight,
                    Test.inflight(
                        VhostInflight(
                            byteCount: UInt64(byteCount), offset: offset, queueCount: queues,
                            queueSize: size)), descriptors: 1)
            }
        }
    }
}
