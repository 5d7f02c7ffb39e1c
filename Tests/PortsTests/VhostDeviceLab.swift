import CLinux
import Glibc
import TestSupport
import Wire

@testable import Dataplane
@testable import Ports

/// A vhost-user port with a driver in this process: what a session would set up, without one.
final class VhostDeviceLab {
    let port: VhostUserPort
    let guest: VirtioFrontEnd
    let kick: Int32
    let receiveCall: Int32
    let transmitCall: Int32
    let err: Int32
    private var pool = FramePool(capacity: Burst.capacity)
    private var burst = Burst()

    /// - Parameter isStarted: whether the first pair runs and is enabled.
    init(
        _ options: VirtioFrontEnd.Options = VirtioFrontEnd.Options(), pairs: Int = 1,
        memory: VirtioFrontEndMemory? = nil, isStarted: Bool = true
    ) throws {
        guest = VirtioFrontEnd(options, memory: memory)
        kick = eventfd(0, Int32(EFD_NONBLOCK))
        receiveCall = eventfd(0, Int32(EFD_NONBLOCK))
        transmitCall = eventfd(0, Int32(EFD_NONBLOCK))
        err = eventfd(0, Int32(EFD_NONBLOCK))
        port = try VhostDeviceLab.makePort(pairs: pairs)
        port.setMemory(VhostDeviceLab.table(guest.memory))
        if isStarted { try start() }
    }

    deinit {
        for index in 0...2 * port.queuePairs { _ = port.stopQueue(index) }
        for descriptor in [kick, receiveCall, transmitCall, err] { close(descriptor) }
        burst.drain(into: &pool)
    }

    static func makePort(pairs: Int = 1) throws -> VhostUserPort {
        try VhostUserPort(
            name: "test", path: "/nowhere", isServer: false, queuePairs: pairs,
            access: UnixEndpoint.Access(), mtu: nil, loop: PeerLoop())
    }

    static func table(_ memory: VirtioFrontEndMemory) -> GuestMemory {
        GuestMemory(
            memory.regions.map {
                GuestMemory.Region(
                    guestAddress: $0.guestAddress, frontEndAddress: $0.frontEndAddress,
                    byteCount: UInt64($0.byteCount), host: $0.host)
            }, keeping: [memory])
    }

    /// What a session would know of a queue.
    static func setup(
        _ queue: any VirtioFrontEndQueue, _ options: VirtioFrontEnd.Options, kick: Int32 = -1,
        call: Int32 = -1, err: Int32 = -1
    ) -> VirtQueueSetup {
        VirtQueueSetup(
            size: UInt16(queue.size), isPacked: options.isPacked, descriptors: queue.descriptors,
            driverArea: queue.driverArea, deviceArea: queue.deviceArea, base: queue.base,
            features: options.mask, kick: kick, call: call, err: err)
    }

    func setup(_ index: Int) -> VirtQueueSetup {
        VhostDeviceLab.setup(
            index == 0 ? guest.receiveQueue : guest.transmitQueue, guest.options, kick: kick,
            call: index == 0 ? receiveCall : transmitCall, err: err)
    }

    func start() throws {
        for index in 0...1 {
            try port.startQueue(index, setup(index))
            port.setEnabled(index, true)
        }
    }

    // MARK: The worker's side

    struct Frame: Equatable {
        var bytes: [UInt8]
        var offload = Offload.none
        var headByteCount = 0
        var segmentCount = 0
    }

    /// One burst, as a worker receives it. `inspect` runs while its memory is lent.
    func receive(_ inspect: () -> Void = {}) -> [Frame] {
        burst.refill(from: &pool)
        _ = port.receive(into: &burst)
        var frames: [Frame] = []
        for place in 0..<burst.count {
            let frame = burst.frames[place]
            var bytes = Array(frame.buffer)
            let headByteCount = bytes.count
            for segment in 0..<Int(frame.tailCount) {
                guard let piece = frame.tail?[segment] else { break }
                bytes += UnsafeRawBufferPointer(start: piece.bytes, count: piece.byteCount)
            }
            precondition(bytes.count == Int(frame.byteCount))
            frames.append(
                Frame(
                    bytes: bytes, offload: frame.offload, headByteCount: headByteCount,
                    segmentCount: Int(frame.tailCount)))
        }
        inspect()
        port.releaseBurst()
        burst.clear()
        return frames
    }

    /// Bursts until nothing comes.
    func receiveAll() -> [Frame] {
        var all: [Frame] = []
        while true {
            let frames = receive()
            if frames.isEmpty { return all }
            all += frames
        }
    }

    /// A frame to transmit: where it is cut into head, body and tail, and what is left to do.
    struct Entry {
        var bytes: [UInt8]
        var offload = Offload.none
        /// Bytes in the head; nil for all.
        var head: Int?
        /// Bytes in the body.
        var body = 0
        /// Bytes of the tail's pieces but the last, which has the rest.
        var tail: [Int] = []
    }

    /// One transmit call; how each entry went.
    func transmit(_ entries: [Entry]) -> [DropReason] {
        var memory: [UnsafeMutableRawPointer] = []
        defer { for piece in memory { piece.deallocate() } }
        func copy(_ bytes: ArraySlice<UInt8>) -> UnsafeMutableRawPointer {
            let piece = UnsafeMutableRawPointer.allocate(
                byteCount: bytes.count + 1, alignment: 1)
            bytes.withUnsafeBytes { source in
                if let start = source.baseAddress {
                    piece.copyMemory(from: start, byteCount: source.count)
                }
            }
            memory.append(piece)
            return piece
        }
        let list = UnsafeMutableBufferPointer<TransmitEntry>.allocate(capacity: entries.count)
        defer { list.deallocate() }
        for (place, entry) in entries.enumerated() {
            let headCount = entry.head ?? entry.bytes.count
            let head = UnsafeMutableRawPointer.allocate(
                byteCount: headCount + 12, alignment: 4)
            memory.append(head)
            entry.offload.store(to: head)
            entry.bytes.withUnsafeBytes { source in
                if let start = source.baseAddress {
                    (head + 12).copyMemory(from: start, byteCount: headCount)
                }
            }
            let body = copy(entry.bytes.dropFirst(headCount).prefix(entry.body))
            var rest = entry.bytes.dropFirst(headCount + entry.body)
            let tail = UnsafeMutableRawBufferPointer.allocate(
                byteCount: (entry.tail.count + 1) * MemoryLayout<FrameSegment>.stride, alignment: 8)
            if let base = tail.baseAddress { memory.append(base) }
            let segments = tail.bindMemory(to: FrameSegment.self)
            var tailCount = 0
            var tailByteCount = 0
            for count in entry.tail + [Int.max] where !rest.isEmpty {
                let piece = rest.prefix(count)
                segments[tailCount] = FrameSegment(
                    bytes: copy(piece), byteCount: piece.count)
                tailCount += 1
                tailByteCount += piece.count
                rest = rest.dropFirst(piece.count)
            }
            (list.baseAddress! + place).initialize(
                to: TransmitEntry(
                    head: head, headByteCount: headCount + 12, body: body,
                    bodyByteCount: entry.body,
                    tail: tailCount > 0 ? UnsafePointer(segments.baseAddress) : nil,
                    tailByteCount: UInt32(tailByteCount), tailCount: UInt16(tailCount),
                    outcome: .runt))
        }
        port.transmit(list)
        return list.map(\.outcome)
    }

    func transmit(_ frame: [UInt8]) -> DropReason { transmit([Entry(bytes: frame)])[0] }

    /// What an eventfd has counted since it was asked last.
    static func count(_ descriptor: Int32) -> UInt64 {
        var value: UInt64 = 0
        return read(descriptor, &value, 8) == 8 ? value : 0
    }

    var isPollReadable: Bool {
        var request = pollfd(fd: port.pollDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, 0) > 0
    }
}

/// A frame of so many bytes with recognisable contents.
func testFrame(_ byteCount: Int, _ seed: Int = 0) -> [UInt8] {
    let start = (seed &* 131 &+ byteCount) % 4096
    return Array(
        ([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x88, 0xB5]
            + noise[start..<start + max(byteCount - 14, 0)]).prefix(byteCount))
}

private let noise: [UInt8] = {
    var random = SeededRandom(seed: 7)
    return random.bytes(4096 + 80_000)
}()

/// The shapes of rings that every test of both goes over.
let ringKinds: [VirtioFrontEnd.Options] = [false, true].flatMap { isPacked in
    [false, true].map { hasEventIndex in
        var options = VirtioFrontEnd.Options()
        options.isPacked = isPacked
        options.hasEventIndex = hasEventIndex
        return options
    }
}
