import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A switch that is killed neither loses nor repeats a guest's buffer")
struct VhostDeviceInflightTests {
    /// A guest, its region of buffers in flight, and one switch after the other.
    private final class World {
        let options: VirtioFrontEnd.Options
        let guest: VirtioFrontEnd
        let regions: [UnsafeMutableRawPointer]
        private(set) var port: VhostUserPort?
        private var pool = FramePool(capacity: Burst.capacity)
        private var burst = Burst()

        init(_ options: VirtioFrontEnd.Options) {
            self.options = options
            guest = VirtioFrontEnd(options)
            regions = (0..<2).map { _ in
                let region = UnsafeMutableRawPointer.allocate(
                    byteCount: PackedInflight.byteCount(size: options.queueSize), alignment: 64)
                region.initializeMemory(
                    as: UInt8.self, repeating: 0,
                    count: PackedInflight.byteCount(size: options.queueSize))
                return region
            }
        }

        deinit { for region in regions { region.deallocate() } }

        /// Starts another switch. A front-end that lost its back-end does not know a packed ring's
        /// position: the region does.
        func start() throws {
            let port = try VhostDeviceLab.makePort()
            port.setMemory(VhostDeviceLab.table(guest.memory))
            for index in 0...1 {
                var setup = VhostDeviceLab.setup(
                    index == 0 ? guest.receiveQueue : guest.transmitQueue, options)
                setup.base = options.isPacked ? 0x8000 : 0
                setup.inflight = regions[index]
                try port.startQueue(index, setup)
                port.setEnabled(index, true)
            }
            self.port = port
        }

        /// Takes a burst and does not release it.
        func take() -> [[UInt8]] {
            guard let port else { return [] }
            burst.refill(from: &pool)
            _ = port.receive(into: &burst)
            let frames = (0..<burst.count).map { place in
                burst.frames[place].gather()
                return Array(burst.frames[place].buffer)
            }
            burst.clear()
            return frames
        }

        func release() { port?.releaseBurst() }

        func transmit(_ frame: [UInt8]) -> DropReason {
            let head = UnsafeMutableRawPointer.allocate(
                byteCount: frame.count + 12, alignment: 4)
            defer { head.deallocate() }
            Offload.none.store(to: head)
            for (offset, byte) in frame.enumerated() {
                head.storeBytes(of: byte, toByteOffset: 12 + offset, as: UInt8.self)
            }
            var entry = TransmitEntry(
                head: head, headByteCount: frame.count + 12, body: head, bodyByteCount: 0,
                outcome: .runt)
            withUnsafeMutablePointer(to: &entry) {
                port?.transmit(UnsafeMutableBufferPointer(start: $0, count: 1))
            }
            return entry.outcome
        }
    }

    private static func options(_ seed: Int) -> VirtioFrontEnd.Options {
        var options = VirtioFrontEnd.Options()
        options.isPacked = seed % 2 == 1
        options.queueSize =
            options.isPacked ? [7, 32, 100][seed / 2 % 3] : [8, 32, 128][seed / 2 % 3]
        options.receivePieces = [200]
        options.start = 65_520
        return options
    }

    @Test("Killed between bursts and within, again and again", arguments: 0..<12)
    func killed(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let world = World(Self.options(seed))
        try world.start()
        world.guest.post()
        var waiting: [[UInt8]] = []
        var sent = 0
        for _ in 0..<300 {
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let frame = testFrame(60 + sent % 500, sent)
                let layout: VirtioLayout = Bool.random(using: &random) ? .chain : .table
                if world.guest.send(frame, pieces: [12, 20], layout: layout) != nil {
                    waiting.append(frame)
                    sent += 1
                }
            }
            world.guest.publish()
            let taken = world.take()
            // Whatever was under way comes again, first and in order.
            #expect(taken == Array(waiting.prefix(taken.count)))
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                #expect(world.guest.reclaim().isEmpty)
                try world.start()
            case 1:
                world.release()
                #expect(world.guest.reclaim().count == taken.count)
                waiting.removeFirst(taken.count)
                try world.start()
            default:
                world.release()
                #expect(world.guest.reclaim().count == taken.count)
                waiting.removeFirst(taken.count)
            }
            let frame = testFrame(Int.random(in: 60...700, using: &random))
            if world.transmit(frame) == .none {
                #expect(world.guest.receive().map(\.frame) == [frame])
            }
        }
        while !waiting.isEmpty {
            let taken = world.take()
            try #require(!taken.isEmpty)
            world.release()
            #expect(world.guest.reclaim().count == taken.count)
            waiting.removeFirst(taken.count)
        }
        #expect(world.guest.inFlight.isEmpty)
        #expect(sent > 100)
    }

    @Test("Killed after chains were returned and before their marks were cleared", arguments: 0..<6)
    func returned(seed: Int) throws {
        let world = World(Self.options(seed))
        try world.start()
        let byteCount = PackedInflight.byteCount(size: world.options.queueSize)
        let region = world.regions[1]
        for round in 0..<20 {
            for place in 0..<3 { _ = world.guest.send(testFrame(60 + place, round)) }
            world.guest.publish()
            #expect(world.take().count == 3)
            // What the region holds when the batch is linked and not returned yet.
            let before = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
            defer { before.deallocate() }
            before.copyMemory(from: region, byteCount: byteCount)
            world.release()
            // The links as they are now, the marks and what counts as committed as they were.
            let after = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
            defer { after.deallocate() }
            after.copyMemory(from: region, byteCount: byteCount)
            let entries = world.options.isPacked ? 32 : 16
            let size = world.options.isPacked ? 32 : 16
            for place in 0..<world.options.queueSize {
                let offset = entries + size * place
                (region + offset).copyMemory(from: before + offset, byteCount: 1)
            }
            if world.options.isPacked {
                for (offset, count) in [(14, 2), (18, 2), (21, 1)] {
                    (region + offset).copyMemory(from: before + offset, byteCount: count)
                }
            } else {
                (region + 14).copyMemory(from: before + 14, byteCount: 2)
            }
            #expect(world.guest.reclaim().count == 3)
            try world.start()
            world.guest.publish()
            #expect(world.take().isEmpty, "it was returned")
            world.release()
        }
    }

    @Test("Killed before chains were returned: they come again", arguments: [1, 3, 5])
    func notReturned(seed: Int) throws {
        // A packed ring's used entry is written last: undo it, and what else the batch did.
        let world = World(Self.options(seed))
        try world.start()
        let ring = world.guest.transmitQueue.descriptors
        let byteCount = 16 * world.options.queueSize
        for place in 0..<3 { _ = world.guest.send(testFrame(60 + place)) }
        world.guest.publish()
        let before = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        defer { before.deallocate() }
        before.copyMemory(from: ring, byteCount: byteCount)
        #expect(world.take().count == 3)
        let region = world.regions[1]
        let regionBefore = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)
        defer { regionBefore.deallocate() }
        regionBefore.copyMemory(from: region, byteCount: 32)
        let marks = (0..<3).map { (region + 32 + 32 * $0).load(as: UInt8.self) }
        #expect(marks == [1, 1, 1])
        world.release()
        for (offset, count) in [(14, 2), (18, 2), (21, 1)] {
            (region + offset).copyMemory(from: regionBefore + offset, byteCount: count)
        }
        for place in 0..<3 {
            (region + 32 + 32 * place).storeBytes(of: 1, as: UInt8.self)
        }
        ring.copyMemory(from: before, byteCount: byteCount)
        try world.start()
        #expect(world.take() == (0..<3).map { testFrame(60 + $0) })
        world.release()
        #expect(world.guest.reclaim().count == 3)
    }

    @Test("A region of another ring or a damaged one is refused")
    func damaged() throws {
        for isPacked in [false, true] {
            let world = World(Self.options(isPacked ? 1 : 0))
            try world.start()
            world.regions[1].storeBytes(of: 77, toByteOffset: 10, as: UInt16.self)
            #expect(throws: VhostFault.self) { try world.start() }
        }
        // What indices a front-end writes into it leads nowhere.
        for seed in 0..<200 {
            var random = SeededRandom(seed: UInt64(seed))
            let world = World(Self.options(seed))
            try world.start()
            for place in 0..<3 { _ = world.guest.send(testFrame(60 + place), pieces: [12, 3]) }
            world.guest.publish()
            _ = world.take()
            let count = PackedInflight.byteCount(size: world.options.queueSize) / 2
            for _ in 0..<10 {
                let place = Int.random(in: 6..<count, using: &random)
                world.regions[1].storeBytes(
                    of: UInt8(truncatingIfNeeded: random.next()), toByteOffset: place,
                    as: UInt8.self)
            }
            do {
                try world.start()
                _ = world.take()
                world.release()
                _ = world.take()
                world.release()
            } catch is VhostFault {}
        }
    }
}
