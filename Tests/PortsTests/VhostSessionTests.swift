import Glibc
import Testing

@testable import Ports

@Suite("A vhost-user session runs rings as its front-end says")
struct VhostSessionTests {
    private typealias Test = VhostTestMessage

    @Test("a ring starts with its kick descriptor, at its addresses in mapped memory")
    func start() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(1, size: 512, base: 77)
        #expect(test.device.events == ["memory 1", "start 1"])
        let setup = try #require(test.device.running[1])
        #expect(setup.size == 512 && setup.base == 77 && !setup.isPacked)
        let memory = test.system.mapped[0].bytes
        #expect(setup.descriptors == memory + 0x1_0000)
        #expect(setup.driverArea == memory + 0x1_4000)
        #expect(setup.deviceArea == memory + 0x1_8000)
        #expect(test.system.open.contains(setup.kick) && test.system.open.contains(setup.call))
        #expect(setup.err == -1)
        #expect(test.device.enabled == [0, 1, 2, 3, 4], "there are no protocol features")
    }

    @Test("with protocol features a ring waits until it is enabled")
    func enable() throws {
        let test = VhostTestSession()
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.protocolFeatures)
        try test.giveMemory()
        try test.giveRing(0)
        #expect(test.device.running.isEmpty && test.device.enabled.isEmpty)
        try test.say(.setRingEnable, Test.state(0, 1))
        #expect(test.device.running[0] != nil && test.device.enabled == [0])
        test.device.bases[0] = 17
        try test.say(.setRingEnable, Test.state(0, 0))
        #expect(test.device.running.isEmpty && test.device.enabled.isEmpty)
        try test.say(.setRingEnable, Test.state(0, 1))
        #expect(test.device.running[0]?.base == 17, "it goes on")
        #expect(throws: VhostFault.self) { try test.say(.setRingEnable, Test.state(0, 2)) }
    }

    @Test("a ring that was stopped says where it got to, and goes on from there")
    func stopAndGoOn() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(0, base: 5)
        test.device.bases[0] = 1234
        #expect(try test.base(of: 0) == 1234)
        #expect(test.device.running.isEmpty)
        #expect(test.system.open.count == 1, "the kick is closed, the call stays")
        #expect(try test.base(of: 0) == 1234, "it may be asked twice")
        #expect(try test.base(of: 3) == 0, "it never ran")
        try test.say(.setRingKick, Test.long(0), descriptors: 1)
        #expect(test.device.running[0]?.base == 1234)
    }

    @Test("other memory moves rings, and what stays in place goes on")
    func memoryChanges() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(0)
        test.device.bases[0] = 9
        let second = VhostMemoryRegion(
            guestAddress: 0x1_0000_0000, regionByteCount: 4096, frontEndAddress: 0x1000, offset: 0)
        let added = Test.long(0) + Test.region(second)
        try test.say(.addMemoryRegion, added, descriptors: 1)
        #expect(test.device.events == ["memory 1", "start 0", "memory 2"], "no ring noticed")
        // QEMU 7.2 says it once for each queue pair.
        try test.say(.addMemoryRegion, added, descriptors: 1)
        #expect(test.device.memory?.regionCount == 2)
        for _ in 0..<2 { try test.say(.removeMemoryRegion, added) }
        #expect(test.device.memory?.regionCount == 1)
        #expect(!test.device.events.contains("stop 0"))

        test.device.events = []
        try test.giveMemory()
        #expect(test.device.events == ["stop 0", "memory 1", "start 0"])
        #expect(test.device.running[0]?.base == 9)
        #expect(test.device.running[0]?.descriptors == test.system.mapped.last?.bytes)
        #expect(test.system.open.count == 2, "no descriptor of memory is kept")

        test.device.events = []
        let reply = try test.say(
            .setMemoryTable, Test.table([second]), descriptors: 1, needReply: true)
        #expect(try Test.number(reply) == 1, "the ring is not in it")
        #expect(test.device.events == ["stop 0", "memory 1"])
        #expect(test.session.problem?.contains("not in shared memory") == true)
    }

    @Test("regions that overlap, wrap around or are too large are refused, and the table stays")
    func badRegions() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        let good = VhostTestSession.region
        func region(
            _ guest: UInt64, _ byteCount: UInt64, _ frontEnd: UInt64, _ offset: UInt64 = 0
        ) -> VhostMemoryRegion {
            VhostMemoryRegion(
                guestAddress: guest, regionByteCount: byteCount, frontEndAddress: frontEnd,
                offset: offset)
        }
        for (bad, why) in [
            (region(good.guestAddress + 4096, 4096, 0), "overlaps for the guest"),
            (region(0, 4096, good.frontEndAddress - 4095), "overlaps for the front-end"),
            (region(.max - 4094, 4096, 0), "wraps around for the guest"),
            (region(0, 4096, .max - 4094), "wraps around for the front-end"),
            (region(0, 4096, 0, .max - 4094), "wraps around in the file"),
            (region(0, 0, 0), "is empty"),
            (region(0, .max, 0), "is all there is"),
            (region(1 << 50, 1 << 42, 1 << 50), "is more than a port maps"),
        ] {
            #expect(throws: VhostFault.self, "\(why)") {
                try test.say(
                    .addMemoryRegion, Test.long(0) + Test.region(bad), descriptors: 1)
            }
            #expect(throws: VhostFault.self, "\(why)") {
                try test.say(.setMemoryTable, Test.table([good, bad]), descriptors: 2)
            }
        }
        #expect(test.device.events == ["memory 1"])
        #expect(test.system.open.isEmpty)
    }

    @Test("a ring outside of memory, or askew, makes the port fail until the driver begins anew")
    func badRings() throws {
        let good = VhostTestSession.address(at: 0)
        func changed(_ change: (inout VhostRingAddress) -> Void) -> VhostRingAddress {
            var address = good
            change(&address)
            return address
        }
        let end = VhostTestSession.region.frontEndAddress + (1 << 20)
        for (address, why) in [
            (changed { $0.descriptors = 0 }, "outside"),
            (changed { $0.descriptors = end - 256 * 16 + 16 }, "beyond the end"),
            (changed { $0.descriptors = .max - 15 }, "wrapping around"),
            (changed { $0.available = end - 2 }, "beyond the end"),
            (changed { $0.used = end }, "at the end"),
            (changed { $0.descriptors += 8 }, "not aligned to 16"),
            (changed { $0.available += 1 }, "not aligned to 2"),
            (changed { $0.used += 2 }, "not aligned to 4"),
        ] {
            let test = VhostTestSession()
            try test.negotiate()
            try test.giveMemory()
            try test.giveRing(0)
            try test.say(.setRingError, Test.long(1), descriptors: 1)
            try test.say(.setRingSize, Test.state(1, 256))
            try test.say(.setRingAddress, Test.address(1, address))
            let reply = try test.say(
                .setRingKick, Test.long(1), descriptors: 1, needReply: true)
            #expect(try Test.number(reply) == 1, "\(why)")
            #expect(test.device.running.isEmpty, "\(why): the other ring stops as well")
            #expect(test.system.signalled.count == 1)
            #expect(test.session.problem?.hasPrefix("queue 1's ") == true)
            #expect(try Test.number(test.say(.getStatus)) == 0x40, "it needs a reset")

            try test.giveRing(0)
            #expect(test.device.running.isEmpty, "\(why): nothing runs before a reset")
            _ = try test.base(of: 0)
            try test.giveRing(0)
            #expect(test.device.running.count == 1 && test.session.problem == nil)
        }
    }

    @Test("sizes and bases that no ring has make the port fail", arguments: [false, true])
    func badSizes(isPacked: Bool) throws {
        let features =
            VirtioFeature.version1 | (isPacked ? VirtioFeature.ringPacked : 0)
        for (size, base, runs, why) in [
            (256, 0, true, "plain"),
            (100, 0, isPacked, "a split ring's size is a power of two"),
            (256, 0xFFFF, !isPacked, "a split ring counts on, a packed one has places"),
            (256, 0x8000_8000, isPacked, "wrap counters are a packed ring's"),
            (256, 0x0100_0000, false, "beyond the ring"),
        ] as [(UInt32, UInt32, Bool, String)] {
            let test = VhostTestSession()
            try test.negotiate(features)
            try test.giveMemory()
            try test.giveRing(0, size: size, base: base)
            #expect((test.device.running[0] != nil) == runs, "\(why)")
        }
        let test = VhostTestSession()
        for size in [0, 32769, UInt32.max] {
            #expect(throws: VhostFault.self) {
                try test.say(.setRingSize, Test.state(0, size))
            }
        }
    }

    @Test("a packed ring that is new begins with wrap counters of 1, whatever its front-end knows")
    func packedBase() throws {
        for (flags, base, start, why) in [
            (0, 0, 0x8000_8000, "nothing is there yet"),
            (0x0080, 0, 0x8000_8000, "available in the first round"),
            (0x8080, 0, 0, "used in the round before"),
            (0x8000, 0, 0, "available in the second round"),
            (0x8080, 0x8001, 0x8001, "it is somewhere"),
            (0x8080, 0x8000_8000, 0x8001_8001, "what QEMU says, and is not"),
        ] as [(UInt16, UInt32, UInt32, String)] {
            let test = VhostTestSession()
            try test.negotiate(VirtioFeature.version1 | VirtioFeature.ringPacked)
            try test.giveMemory()
            let ring = test.system.mapped[0].bytes
            ring.storeBytes(of: flags, toByteOffset: 14, as: UInt16.self)
            if base == 0, flags & 0x8000 != 0 {
                // It has been gone round once.
                ring.storeBytes(of: 0x8080, toByteOffset: 255 * 16 + 14, as: UInt16.self)
            }
            try test.giveRing(0, base: base)
            #expect(test.device.running[0]?.base == start, "\(why)")
        }
    }

    @Test("a ring's parts are as large as its layout says, to the byte")
    func layout() throws {
        for (features, driver, device, why) in [
            (0, 4 + 2 * 8, 4 + 8 * 8, "split"),
            (VirtioFeature.eventIndex, 6 + 2 * 8, 6 + 8 * 8, "split with event indices"),
            (VirtioFeature.ringPacked, 4, 4, "packed"),
            (VirtioFeature.ringPacked | VirtioFeature.eventIndex, 4, 4, "packed either way"),
        ] as [(UInt64, Int, Int, String)] {
            let layout = try VhostRingLayout(size: 8, features: features)
            #expect(layout.descriptorByteCount == 128, "\(why)")
            #expect(layout.driverByteCount == driver, "\(why)")
            #expect(layout.deviceByteCount == device, "\(why)")
        }
    }

    @Test("queues beyond the last are refused")
    func queueRange() throws {
        let test = VhostTestSession(queuePairs: 2)
        try test.say(.setRingSize, Test.state(4, 64))
        for queue in [5, 255, UInt32.max] {
            #expect(throws: VhostFault.self) {
                try test.say(.setRingSize, Test.state(queue, 64))
            }
        }
        #expect(throws: VhostFault.self) {
            try test.say(.setRingKick, Test.long(5), descriptors: 1)
        }
        #expect(test.system.open.isEmpty)
    }

    @Test("kick and call descriptors are exchanged under a running ring")
    func notifiers() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(0)
        let before = try #require(test.device.running[0])
        try test.say(.setRingKick, Test.long(0), descriptors: 1)
        try test.say(.setRingCall, Test.long(0x100))
        let after = try #require(test.device.running[0])
        #expect(after.kick != before.kick && after.call == -1)
        #expect(test.system.open == [after.kick])
        try test.say(.setRingKick, Test.long(0x100))
        #expect(test.device.running[0]?.kick == -1 && test.system.open.isEmpty)
        test.system.refusesNotifiers = true
        #expect(throws: VhostFault.self) {
            try test.say(.setRingCall, Test.long(0), descriptors: 1)
        }
        #expect(test.system.open.isEmpty)
    }

    @Test("a fault that the device found stops all rings and signals the front-end")
    func deviceFault() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.say(.setRingError, Test.long(0), descriptors: 1)
        try test.giveRing(0)
        try test.giveRing(1)
        test.device.bases[1] = 41
        test.device.find(VhostFault("queue 0: a loop"), in: 0)
        test.session.deviceFaulted()
        #expect(test.device.running.isEmpty)
        #expect(test.session.problem == "queue 0: a loop")
        #expect(test.session.summary == nil)
        #expect(test.system.signalled.count == 1)
        #expect(try test.base(of: 1) == 41)
        #expect(try test.base(of: 0) == 0)
        try test.giveRing(0)
        #expect(test.session.problem == nil && test.session.summary != nil)
    }

    @Test("a fault that comes to light after its driver has gone is not the next one's")
    func lateFault() throws {
        let test = VhostTestSession()
        for leave in [
            { _ = try test.base(of: 0) }, { try test.say(.resetDevice) }, { test.session.end() },
            // User-mode Linux's drivers go without a word.
            { try test.say(.setRingBase, Test.state(0, 0)) },
        ] {
            try test.negotiate()
            try test.giveMemory()
            try test.giveRing(0)
            test.device.find(VhostFault("queue 0: a loop"), in: 0)
            try leave()
            try test.negotiate()
            try test.giveMemory()
            try test.giveRing(0)
            // The loop's watch on the device's eventfd would call this if it were readable.
            var count: UInt64 = 0
            #expect(read(test.device.faultDescriptor, &count, 8) < 0)
            test.session.deviceFaulted()
            #expect(test.device.running.count == 1)
            #expect(test.session.problem == nil && test.session.summary != nil)
        }
    }

    @Test("features that change end the rings; logging that begins does not")
    func featureChange() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(0)
        try test.negotiate()
        #expect(test.device.running.count == 1, "the same again")
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.logAll)
        #expect(test.device.running.count == 1)
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.mergeableBuffers)
        #expect(test.device.running.isEmpty)
    }

    @Test("a device reset and a status of zero end the rings and need everything named anew")
    func reset() throws {
        let test = VhostTestSession()
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.protocolFeatures)
        try test.giveMemory()
        try test.giveRing(0)
        try test.say(.setRingEnable, Test.state(0, 1))
        try test.say(.setStatus, Test.long(15))
        #expect(try Test.number(test.say(.getStatus)) == 15)
        try test.say(.setStatus, Test.long(0))
        #expect(test.device.running.isEmpty && test.device.enabled == [0])
        try test.giveRing(0)
        try test.say(.resetDevice)
        #expect(test.device.running.isEmpty && test.device.enabled.isEmpty)
        try test.say(.setRingKick, Test.long(0), descriptors: 1)
        #expect(test.device.running.isEmpty)
        try test.negotiate()
        try test.giveRing(0)
        #expect(test.device.running.count == 1, "memory stays")
    }

    @Test("User-mode Linux sets a ring up again without having stopped it")
    func abandonedRing() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveMemory()
        try test.giveRing(0)
        test.device.bases[0] = 100
        try test.giveRing(0)
        #expect(test.device.events.suffix(2) == ["stop 0", "start 0"])
        #expect(test.device.running[0]?.base == 0)
    }

    @Test("when the front-end goes, everything that it gave goes back")
    func end() throws {
        let test = VhostTestSession()
        try test.negotiate(VirtioFeature.version1 | VirtioFeature.logAll)
        try test.giveMemory()
        try test.giveRing(0)
        try test.giveRing(1)
        try test.say(.setLogBase, Test.long(1024) + Test.long(0), descriptors: 1)
        try test.say(.setBackEndChannel, descriptors: 1)
        #expect(test.system.open.count == 5)
        test.session.end()
        #expect(test.device.running.isEmpty && test.device.enabled.isEmpty)
        #expect(test.device.memory == nil && test.device.log == nil)
        #expect(test.system.open.isEmpty)
    }

    @Test("what was agreed is told in a line")
    func summary() throws {
        let test = VhostTestSession(queuePairs: 4)
        #expect(test.session.summary == nil)
        try test.negotiate(
            VirtioFeature.version1 | VirtioFeature.ringPacked | VirtioFeature.mergeableBuffers)
        try test.giveMemory()
        for queue: UInt32 in 0...1 { try test.giveRing(queue) }
        #expect(test.session.summary == "1 queue pair, packed ring, mergeable buffers")
        for queue: UInt32 in 2...3 { try test.giveRing(queue) }
        #expect(test.session.summary == "2 queue pairs, packed ring, mergeable buffers")
    }
}
