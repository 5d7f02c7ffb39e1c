// The input as what a hostile driver does to its rings, between and around the calls of a worker.
//
// The first bytes choose the kind of the rings, their sizes and what was negotiated; every group after
// that is one step: bytes written anywhere in a ring, in the guest's memory or in the region of
// buffers in flight, a descriptor that makes some sense, a publication, a burst received and released,
// frames transmitted, a ring stopped and started anew.
//
// Every part of a ring and every region of memory is an allocation of its own and of its exact size,
// so that AddressSanitizer sees a single byte too many. What must hold is told by the checks: lent
// pieces lie in shared memory and add up, nothing runs after a fault, what is taken is returned.

nonisolated(unsafe) private var pool = FramePool(capacity: Burst.capacity)
nonisolated(unsafe) private var burst = Burst()
private let pairCount = 2
private let controlIndex = 2 * pairCount

/// Parts of one queue, and what the fuzzer remembers to write descriptors that are looked at.
private struct Ring {
    var size: Int
    var descriptors: UnsafeMutableRawPointer
    var driverArea: UnsafeMutableRawPointer
    var deviceArea: UnsafeMutableRawPointer
    var inflight: UnsafeMutableRawPointer?
    var inflightByteCount = 0
    var next = 0
    var wrap = true
    var available: UInt16 = 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzVirtQueue(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    var input = FuzzInput(data, byteCount)
    var world = World(&input)
    world.run(&input)
    world.end()
    return 0
}

private struct World: ~Copyable {
    /// Guest addresses: two regions that adjoin, a gap, and one more.
    private static let layout: [(UInt64, Int)] = [
        (0x1000, 3000), (0x1000 + 3000, 5000), (0x8000, 700),
    ]

    private let isPacked: Bool
    private let features: UInt64
    private let regions: [UnsafeMutableRawPointer]
    private let memory: GuestMemory
    private let logBits: UnsafeMutableRawPointer
    private let log: DirtyLog
    private var rings: [Ring] = []
    private var set = VirtQueueSet(pairCount: pairCount)
    private let frames: UnsafeMutableRawPointer

    private static let indices = [0, 1, 2, 3, controlIndex]
    private static let logByteCount = 3

    init(_ input: inout FuzzInput) {
        let kind = input.byte()
        isPacked = kind & 1 != 0
        let isTracked = kind & 2 != 0
        let isLogged = kind & 4 != 0
        var features: UInt64 = VirtioFeature.controlQueue | VirtioFeature.multiqueue
        if kind & 8 != 0 { features |= VirtioFeature.eventIndex }
        if kind & 16 != 0 { features |= VirtioFeature.indirectDescriptors }
        if kind & 32 != 0 { features |= VirtioFeature.mergeableBuffers }
        if kind & 64 != 0 { features |= VirtioFeature.version1 }
        if kind & 128 != 0 { features |= VirtioFeature.guestChecksum }
        self.features = features
        regions = World.layout.map { .allocate(byteCount: $0.1, alignment: 16) }
        memory = GuestMemory(
            zip(World.layout, regions).map {
                GuestMemory.Region(
                    guestAddress: $0.0.0, frontEndAddress: $0.0.0, byteCount: UInt64($0.0.1),
                    host: $0.1)
            })
        for (place, region) in regions.enumerated() {
            region.initializeMemory(
                as: UInt8.self, repeating: UInt8(place), count: World.layout[place].1)
        }
        logBits = .allocate(byteCount: World.logByteCount, alignment: 8)
        logBits.initializeMemory(as: UInt8.self, repeating: 0, count: World.logByteCount)
        log = DirtyLog(logBits, byteCount: World.logByteCount)
        frames = .allocate(byteCount: 12 + 70_000, alignment: 16)
        frames.initializeMemory(as: UInt8.self, repeating: 0x5A, count: 12 + 70_000)
        let sizes = input.byte()
        let tracked = isTracked
        let packed = isPacked
        rings = World.indices.map { index in
            let chosen = Int(sizes) &+ 3 &* index
            let size = packed ? 1 + chosen % 33 : 1 << (chosen % 6)
            func zeroed(_ byteCount: Int, _ alignment: Int) -> UnsafeMutableRawPointer {
                let part = UnsafeMutableRawPointer.allocate(
                    byteCount: byteCount, alignment: alignment)
                part.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
                return part
            }
            var ring = Ring(
                size: size, descriptors: zeroed(16 * size, 16),
                driverArea: zeroed(packed ? 4 : 6 + 2 * size, 4),
                deviceArea: zeroed(packed ? 4 : 6 + 8 * size, 4))
            if tracked {
                ring.inflightByteCount =
                    packed
                    ? PackedInflight.byteCount(size: size) : SplitInflight.byteCount(size: size)
                ring.inflight = zeroed(ring.inflightByteCount, 8)
            }
            return ring
        }
        set.memory = Unmanaged.passUnretained(memory)
        if isLogged { set.log = Unmanaged.passUnretained(log) }
        for place in rings.indices { start(place, base: packed ? 0x8000 : 0) }
    }

    consuming func end() {
        for index in World.indices { _ = set.stop(index) }
        for ring in rings {
            ring.descriptors.deallocate()
            ring.driverArea.deallocate()
            ring.deviceArea.deallocate()
            ring.inflight?.deallocate()
        }
        for region in regions { region.deallocate() }
        logBits.deallocate()
        frames.deallocate()
    }

    private mutating func start(_ place: Int, base: UInt32) {
        let ring = rings[place]
        let setup = VirtQueueSetup(
            size: UInt16(ring.size), isPacked: isPacked, descriptors: ring.descriptors,
            driverArea: ring.driverArea, deviceArea: ring.deviceArea, base: base,
            features: features, usedLogAddress: 0x8000, inflight: ring.inflight)
        guard VirtQueue.check(setup) == nil else { preconditionFailure("the ring is sound") }
        var queue = VirtQueue(setup)
        guard queue.start(setup.inflight) == nil else { return queue.deallocate() }
        set.start(World.indices[place], queue)
        set.setEnabled(World.indices[place], true)
    }

    mutating func run(_ input: inout FuzzInput) {
        while !input.isEmpty {
            let step = input.byte()
            let place = Int(step >> 4) % rings.count
            switch step & 15 {
            case 0: write(&input, to: rings[place].descriptors, 16 * rings[place].size)
            case 1:
                write(
                    &input, to: rings[place].driverArea,
                    isPacked ? 4 : 6 + 2 * rings[place].size)
            case 2:
                let region = place % regions.count
                write(&input, to: regions[region], World.layout[region].1)
            case 3:
                if let inflight = rings[place].inflight {
                    write(&input, to: inflight, rings[place].inflightByteCount)
                }
            case 4, 5, 6: describe(&input, place)
            case 7: publish(&input, place)
            case 8, 9: receive()
            case 10, 11: transmit(&input)
            case 12: if set.arm() { set.disarm() }
            case 13: restart(place)
            case 14: set.setEnabled(World.indices[place], input.byte() & 1 == 0)
            default:
                burst.refill(from: &pool)
                _ = set.receive(into: &burst)
                // What is lent is changed while it is.
                write(&input, to: regions[0], World.layout[0].1)
                verifyBurst()
                _ = set.publishReceived()
                burst.clear()
            }
            if set.fault != nil { verifyFault() }
        }
        receive()
    }

    private func write(
        _ input: inout FuzzInput, to part: UnsafeMutableRawPointer, _ byteCount: Int
    ) {
        let start = Int(input.word()) % byteCount
        for (offset, byte) in input.bytes(Int(input.byte() & 31)).enumerated()
        where start + offset < byteCount {
            part.storeBytes(of: byte, toByteOffset: start + offset, as: UInt8.self)
        }
    }

    /// A descriptor of shared memory, in the ring or in a table in the first region.
    private mutating func describe(_ input: inout FuzzInput, _ place: Int) {
        let choice = input.byte()
        let region = Int(choice & 3) % World.layout.count
        let (base, byteCount) = World.layout[region]
        let address = base &+ UInt64(input.word()) % UInt64(byteCount)
        var length = UInt32(input.byte()) << (choice >> 2 & 7)
        let flags = UInt16(input.byte() & 7)
        if flags & DescriptorFlag.indirect != 0 { length &= ~15 }
        let next = UInt16(input.byte())
        let isInTable = choice & 0x20 != 0
        let position =
            isInTable
            ? Int(input.byte()) : isPacked ? rings[place].next : Int(next) % rings[place].size
        let target =
            isInTable
            ? regions[0] + 16 * (position % 180) : rings[place].descriptors + 16 * position
        target.storeBytes(of: address, as: UInt64.self)
        target.storeBytes(of: length, toByteOffset: 8, as: UInt32.self)
        guard isPacked, !isInTable else {
            target.storeBytes(of: isPacked ? next : flags, toByteOffset: 12, as: UInt16.self)
            target.storeBytes(of: isPacked ? flags : next &+ 1, toByteOffset: 14, as: UInt16.self)
            return
        }
        target.storeBytes(of: next, toByteOffset: 12, as: UInt16.self)
        target.storeBytes(
            of: flags | (rings[place].wrap ? 0x80 : 0x8000), toByteOffset: 14, as: UInt16.self)
        rings[place].next += 1
        if rings[place].next == rings[place].size {
            rings[place].next = 0
            rings[place].wrap.toggle()
        }
    }

    private mutating func publish(_ input: inout FuzzInput, _ place: Int) {
        guard !isPacked else { return }
        let count = 1 + input.below(4)
        let ring = rings[place]
        for _ in 0..<count {
            ring.driverArea.storeBytes(
                of: UInt16(input.byte() & 31),
                toByteOffset: 4 + 2 * (Int(rings[place].available) % ring.size), as: UInt16.self)
            rings[place].available &+= 1
        }
        ring.driverArea.storeBytes(
            of: rings[place].available, toByteOffset: 2, as: UInt16.self)
    }

    private mutating func receive() {
        burst.refill(from: &pool)
        _ = set.receive(into: &burst)
        verifyBurst()
        let calls = set.publishReceived()
        precondition(calls == 0, "there is nobody to call")
        for index in [1, 3] where set.isStarted(index) {
            precondition(set.queues[index].pendingCount == 0)
        }
        burst.clear()
    }

    /// Frames add up, and lie where they may.
    private func verifyBurst() {
        precondition(burst.count <= Burst.capacity)
        for place in 0..<burst.count {
            let frame = burst.frames[place]
            precondition(Int(frame.byteCount) <= SlotSize.maximumFrame)
            precondition(frame.byteCount == 0 || frame.byteCount >= 14)
            precondition(frame.offload.flags & ~Offload.needsChecksum == 0)
            var tail = 0
            var sum: UInt8 = 0
            for segment in 0..<Int(frame.tailCount) {
                guard let piece = frame.tail?[segment] else { preconditionFailure() }
                precondition(piece.byteCount > 0)
                precondition(
                    zip(World.layout, regions).contains { layout, region in
                        let offset = piece.bytes - UnsafeRawPointer(region)
                        return offset >= 0 && offset + piece.byteCount <= layout.1
                    }, "a piece lies outside of shared memory")
                for byte in UnsafeRawBufferPointer(start: piece.bytes, count: piece.byteCount) {
                    sum &+= byte
                }
                tail += piece.byteCount
            }
            precondition(tail == Int(frame.tailByteCount))
            precondition(tail == 0 || frame.buffer.count == SlotSize.borrowedHead)
        }
    }

    private mutating func transmit(_ input: inout FuzzInput) {
        let count = 1 + input.below(8)
        let entries = UnsafeMutableBufferPointer<TransmitEntry>.allocate(capacity: count)
        defer { entries.deallocate() }
        let piece = FrameSegment(
            bytes: frames, byteCount: [1, 100, 2000, 60_000][input.below(4)])
        withUnsafePointer(to: piece) { tail in
            for place in 0..<count {
                let shape = input.byte()
                let head = 14 + Int(shape & 0x3F)
                entries.initializeElement(
                    at: place,
                    to: TransmitEntry(
                        head: frames, headByteCount: 12 + head, body: frames,
                        bodyByteCount: shape & 0x40 != 0 ? 300 : 0,
                        tail: shape & 0x80 != 0 ? tail : nil,
                        tailByteCount: shape & 0x80 != 0 ? UInt32(piece.byteCount) : 0,
                        tailCount: shape & 0x80 != 0 ? 1 : 0, outcome: .runt))
            }
            set.transmit(entries)
        }
        for entry in entries {
            switch entry.outcome {
            case .none, .egressFull, .egressDown, .egressRejected: break
            default: preconditionFailure("\(entry.outcome)")
            }
        }
        _ = set.publishTransmitted()
        for index in [0, 2] where set.isStarted(index) {
            precondition(set.queues[index].pendingCount == 0)
        }
    }

    /// After a fault nothing runs; what is started anew does.
    private mutating func verifyFault() {
        precondition(set.receiveCount == 0 && set.transmitCount == 0 && !set.hasControl)
        burst.refill(from: &pool)
        _ = set.receive(into: &burst)
        precondition(burst.count == 0)
        _ = set.publishReceived()
        burst.clear()
        set.fault = nil
        for place in rings.indices { restart(place) }
    }

    private mutating func restart(_ place: Int) {
        let base = set.stop(World.indices[place]) ?? (isPacked ? 0x8000 : 0)
        // A packed ring goes on where both sides think it is.
        if isPacked {
            rings[place].next = Int(base & 0x7FFF) % rings[place].size
            rings[place].wrap = base & 0x8000 != 0
        }
        start(place, base: base)
        if !isPacked, set.isStarted(World.indices[place]) {
            rings[place].available = UInt16(
                truncatingIfNeeded: set.queues[World.indices[place]].base)
        }
    }
}
