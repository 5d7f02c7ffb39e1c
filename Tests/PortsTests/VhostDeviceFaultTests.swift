import CLinux
import Glibc
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A driver that breaks its ring is stopped")
struct VhostDeviceFaultTests {
    /// Descriptors of a ring, written by hand.
    private struct RawRing {
        let lab: VhostDeviceLab
        let queue: any VirtioFrontEndQueue

        func split(
            _ place: Int, _ address: UInt64, _ byteCount: UInt32, _ flags: UInt16, next: UInt16 = 0
        ) {
            let descriptor = queue.descriptors + 16 * place
            descriptor.storeBytes(of: address, as: UInt64.self)
            descriptor.storeBytes(of: byteCount, toByteOffset: 8, as: UInt32.self)
            descriptor.storeBytes(of: flags, toByteOffset: 12, as: UInt16.self)
            descriptor.storeBytes(of: next, toByteOffset: 14, as: UInt16.self)
        }

        func packed(_ place: Int, _ address: UInt64, _ byteCount: UInt32, _ flags: UInt16) {
            split(place, address, byteCount, UInt16(place), next: flags | 0x80)
        }

        func publish(head: UInt16, index: UInt16 = 1) {
            queue.driverArea.storeBytes(of: head, toByteOffset: 4, as: UInt16.self)
            queue.driverArea.storeBytes(of: index, toByteOffset: 2, as: UInt16.self)
        }

        /// Memory with a frame in it.
        var buffer: UInt64 { lab.guest.memory.allocate(4096) }
    }

    private static func options(_ isPacked: Bool) -> VirtioFrontEnd.Options {
        var options = VirtioFrontEnd.Options()
        options.isPacked = isPacked
        options.queueSize = 8
        return options
    }

    /// Expects that the device has found a fault of which `words` are told, and recovers.
    private func expectFault(
        _ lab: VhostDeviceLab, queue: Int = 1, _ words: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(VhostDeviceLab.count(lab.err) == 1, sourceLocation: sourceLocation)
        var request = pollfd(
            fd: lab.port.faultDescriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&request, 1, 0) == 1, sourceLocation: sourceLocation)
        // Nothing runs any more.
        #expect(lab.transmit(testFrame(60)) == .egressDown, sourceLocation: sourceLocation)
        #expect(lab.receive().isEmpty, sourceLocation: sourceLocation)
        let fault = try #require(lab.port.takeFault(), sourceLocation: sourceLocation)
        #expect(fault.queue == queue, sourceLocation: sourceLocation)
        #expect(
            fault.fault.sentence.contains(words), "\(fault.fault.sentence)",
            sourceLocation: sourceLocation)
        #expect(lab.port.takeFault() == nil, sourceLocation: sourceLocation)
        #expect(poll(&request, 1, 0) == 0, sourceLocation: sourceLocation)
        #expect(lab.port.stopQueue(0) != nil, sourceLocation: sourceLocation)
        #expect(lab.port.stopQueue(1) != nil, sourceLocation: sourceLocation)
        // A driver that begins anew is served.
        let fresh = VirtioFrontEnd(lab.guest.options, memory: lab.guest.memory)
        for (index, ring) in [fresh.receiveQueue, fresh.transmitQueue].enumerated() {
            try lab.port.startQueue(index, VhostDeviceLab.setup(ring, fresh.options))
        }
        fresh.post(4)
        _ = fresh.send(testFrame(64))
        fresh.publish()
        #expect(lab.receive().map(\.bytes) == [testFrame(64)], sourceLocation: sourceLocation)
        #expect(lab.transmit(testFrame(65)) == .none, sourceLocation: sourceLocation)
        #expect(fresh.receive().map(\.frame) == [testFrame(65)], sourceLocation: sourceLocation)
    }

    @Test("An available index that jumps over more than the ring")
    func availableJump() throws {
        let lab = try VhostDeviceLab(Self.options(false))
        RawRing(lab: lab, queue: lab.guest.transmitQueue).publish(head: 0, index: 9)
        #expect(lab.receive().isEmpty)
        try expectFault(lab, "9 buffers available at once")
        let other = try VhostDeviceLab(Self.options(false))
        RawRing(lab: other, queue: other.guest.transmitQueue).publish(head: 0, index: 65535)
        #expect(other.receive().isEmpty)
        try expectFault(other, "65535 buffers available at once")
    }

    @Test("A head that is no descriptor")
    func head() throws {
        let lab = try VhostDeviceLab(Self.options(false))
        RawRing(lab: lab, queue: lab.guest.transmitQueue).publish(head: 8)
        #expect(lab.receive().isEmpty)
        try expectFault(lab, "there is no descriptor 8")
    }

    @Test("A chain that goes on at no descriptor")
    func next() throws {
        let lab = try VhostDeviceLab(Self.options(false))
        let ring = RawRing(lab: lab, queue: lab.guest.transmitQueue)
        ring.split(0, ring.buffer, 100, DescriptorFlag.next, next: 8)
        ring.publish(head: 0)
        #expect(lab.receive().isEmpty)
        try expectFault(lab, "there is no descriptor 8")
    }

    @Test("A chain that comes back to itself", arguments: [1, 2, 7])
    func loop(length: Int) throws {
        let lab = try VhostDeviceLab(Self.options(false))
        let ring = RawRing(lab: lab, queue: lab.guest.transmitQueue)
        for place in 0..<length {
            ring.split(
                place, ring.buffer, 100, DescriptorFlag.next, next: UInt16((place + 1) % length))
        }
        ring.publish(head: 0)
        #expect(lab.receive().isEmpty)
        try expectFault(lab, "more than 8 descriptors")
    }

    @Test("A packed ring that is one endless chain")
    func endless() throws {
        let lab = try VhostDeviceLab(Self.options(true))
        let ring = RawRing(lab: lab, queue: lab.guest.transmitQueue)
        for place in 0..<8 { ring.packed(place, ring.buffer, 100, DescriptorFlag.next) }
        #expect(lab.receive().isEmpty)
        try expectFault(lab, "more than 8 descriptors")
    }

    @Test("Memory that is not shared", arguments: [false, true])
    func unmapped(isPacked: Bool) throws {
        let end = VirtioFrontEndMemory().regions[0]
        let last = end.guestAddress + UInt64(end.byteCount)
        for (address, byteCount) in [
            (UInt64(0), UInt32(100)), (last - 10, 100), (last, 100), (UInt64.max - 10, 100),
            (UInt64.max, 1), (1 << 63, 100), ((1 << 20) - 1, 100), (1 << 20, UInt32.max),
        ] {
            let lab = try VhostDeviceLab(
                Self.options(isPacked), memory: VirtioFrontEndMemory())
            let ring = RawRing(lab: lab, queue: lab.guest.transmitQueue)
            if isPacked {
                ring.packed(0, address, byteCount, 0)
            } else {
                ring.split(0, address, byteCount, 0)
                ring.publish(head: 0)
            }
            #expect(lab.receive().isEmpty)
            try expectFault(lab, "which is not shared")
        }
    }

    @Test("Tables that are not as they must be")
    func tables() throws {
        enum Case: CaseIterable { case nested, next, empty, odd, long, outside, wild, loop }
        for one in Case.allCases {
            let lab = try VhostDeviceLab(Self.options(false))
            let ring = RawRing(lab: lab, queue: lab.guest.transmitQueue)
            let table = lab.guest.memory.allocateInOnePiece(16 * 2000)
            func entry(_ place: Int, _ flags: UInt16, _ next: UInt16) {
                let at = table.host + 16 * place
                at.storeBytes(of: ring.buffer, as: UInt64.self)
                at.storeBytes(of: 100, toByteOffset: 8, as: UInt32.self)
                at.storeBytes(of: flags, toByteOffset: 12, as: UInt16.self)
                at.storeBytes(of: next, toByteOffset: 14, as: UInt16.self)
            }
            var byteCount: UInt32 = 32
            var flags = DescriptorFlag.indirect
            var address = table.guest
            let words: String
            switch one {
            case .nested: (words, _) = ("refers to another one", entry(0, 4, 0))
            case .next:
                flags |= DescriptorFlag.next
                words = "goes on as well"
            case .empty: (byteCount, words) = (0, "table has 0 bytes")
            case .odd: (byteCount, words) = (33, "table has 33 bytes")
            case .long: (byteCount, words) = (16 * 1025, "table has 16400 bytes")
            case .outside: (address, words) = (16, "not shared")
            case .wild: (words, _) = ("no descriptor 2", entry(0, 1, 2))
            case .loop:
                entry(0, 1, 1)
                entry(1, 1, 0)
                words = "more than 2 descriptors"
            }
            ring.split(0, address, byteCount, flags)
            ring.publish(head: 0)
            #expect(lab.receive().isEmpty)
            try expectFault(lab, words)
        }
    }

    @Test("A table that was not negotiated", arguments: [false, true])
    func notNegotiated(isPacked: Bool) throws {
        let lab = try VhostDeviceLab(Self.options(isPacked), isStarted: false)
        for index in 0...1 {
            var setup = lab.setup(index)
            setup.features &= ~VirtioFeature.indirectDescriptors
            try lab.port.startQueue(index, setup)
            lab.port.setEnabled(index, true)
        }
        _ = lab.guest.send(testFrame(60), layout: .table)
        lab.guest.publish()
        #expect(lab.receive().isEmpty)
        try expectFault(lab, "was not negotiated")
    }

    @Test("Parts of the wrong direction", arguments: [false, true])
    func direction(isPacked: Bool) throws {
        for layout in [VirtioLayout.chain, .table] {
            let lab = try VhostDeviceLab(Self.options(isPacked))
            let memory = lab.guest.memory
            var pieces = [
                VirtioPiece(memory.allocate(100), 100, isWritable: false),
                VirtioPiece(memory.allocate(100), 100, isWritable: true),
            ]
            _ = lab.guest.transmitQueue.add(pieces, token: 1, layout)
            _ = lab.guest.transmitQueue.publish()
            if isPacked, layout == .table {
                #expect(lab.receive().count == 1, "as DPDK's driver has it")
            } else {
                #expect(lab.receive().isEmpty)
                try expectFault(lab, "has a write-only part")
            }

            let other = try VhostDeviceLab(Self.options(isPacked))
            pieces = [
                VirtioPiece(other.guest.memory.allocate(100), 100, isWritable: true),
                VirtioPiece(other.guest.memory.allocate(100), 100, isWritable: false),
            ]
            _ = other.guest.receiveQueue.add(pieces, token: 1, layout)
            _ = other.guest.receiveQueue.publish()
            #expect(other.transmit(testFrame(60)) == .egressDown)
            try expectFault(other, queue: 0, "has a read-only part")
        }
    }

    @Test("A receive buffer that cannot hold a header", arguments: [false, true])
    func smallBuffer(isPacked: Bool) throws {
        let lab = try VhostDeviceLab(Self.options(isPacked))
        let piece = VirtioPiece(lab.guest.memory.allocate(16), 11, isWritable: true)
        _ = lab.guest.receiveQueue.add([piece], token: 1, .chain)
        _ = lab.guest.receiveQueue.publish()
        #expect(lab.transmit(testFrame(60)) == .egressDown)
        try expectFault(lab, queue: 0, "has 11 bytes, less than a header")
    }

    @Test("What came before a bad chain is received, and a bad one in the middle ends the burst")
    func inTheMiddle() throws {
        let lab = try VhostDeviceLab(Self.options(false))
        _ = lab.guest.send(testFrame(60))
        _ = lab.guest.send(testFrame(2000))
        let bad = VirtioPiece(16, 100, isWritable: false)
        _ = lab.guest.transmitQueue.add([bad], token: 99, .chain)
        _ = lab.guest.send(testFrame(60))
        lab.guest.publish()
        #expect(lab.receive().map(\.bytes) == [testFrame(60), testFrame(2000)])
        #expect(lab.guest.reclaim().count == 2)
        try expectFault(lab, "0x10, which is not shared")
    }

    @Test("A ring of an impossible size or place is not started")
    func impossible() throws {
        let lab = try VhostDeviceLab(isStarted: false)
        func sentence(_ change: (inout VirtQueueSetup) -> Void, index: Int = 1) -> String {
            var setup = lab.setup(1)
            change(&setup)
            do {
                try lab.port.startQueue(index, setup)
                return ""
            } catch {
                return error.sentence
            }
        }
        #expect(sentence { $0.size = 0 } == "queue 1: it cannot have 0 descriptors")
        #expect(sentence { $0.size = 100 } == "queue 1: it cannot have 100 descriptors")
        #expect(sentence { $0.descriptors += 8 }.contains("not aligned"))
        #expect(sentence { $0.driverArea += 1 }.contains("not aligned"))
        #expect(sentence { $0.deviceArea += 2 }.contains("not aligned"))
        #expect(sentence({ _ in }, index: 3) == "there is no queue 3: the port has 1 pairs")
        #expect(sentence({ _ in }, index: -1) == "there is no queue -1: the port has 1 pairs")
        #expect(
            sentence {
                $0.isPacked = true
                $0.size = 40000
            }.contains("40000"))
        #expect(
            sentence {
                $0.isPacked = true
                $0.base = 300
            }.contains("no descriptor 300"))
    }
}
