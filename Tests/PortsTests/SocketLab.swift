import CLinux
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

/// A loop for peers, a folder for sockets, and what a worker does with a port, step by step.
final class SocketLab {
    let loop: PeerLoop
    let directory: TemporaryDirectory
    private var pool = FramePool(capacity: Burst.capacity)
    private var burst = Burst()
    private var ports: [UnixSocketPort] = []

    static func with<Value>(_ body: (SocketLab) throws -> Value) throws -> Value {
        try TemporaryDirectory.with { directory in
            let lab = try SocketLab(directory)
            defer { lab.end() }
            return try body(lab)
        }
    }

    private init(_ directory: TemporaryDirectory) throws {
        self.directory = directory
        loop = try PeerLoop()
        try loop.start()
        burst.refill(from: &pool)
    }

    private func end() {
        for port in ports { port.close() }
        loop.stop()
        burst.drain(into: &pool)
    }

    func path(_ name: String) -> String { directory.path(name) }

    /// Names in the lab's folder.
    var files: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted()
    }

    /// A port in service; it is closed with the lab.
    func port(
        _ kind: UnixSocketPort.Kind, _ path: String, isServer: Bool = true, peer: String? = nil,
        access: UnixEndpoint.Access = UnixEndpoint.Access(), states: StateLog? = nil
    ) throws -> UnixSocketPort {
        let port = try UnixSocketPort(
            kind, path: path, isServer: isServer, peer: peer, access: access, loop: loop)
        ports.append(port)
        try port.open { states?.append($0) }
        return port
    }

    // MARK: A worker's steps

    /// One receive call, and the frames it brought.
    func step(_ port: UnixSocketPort, slots: Int = Burst.capacity) -> [[UInt8]] {
        // Places beyond the wanted ones are taken away for the call.
        var few = Burst()
        var fewSlots = FramePool(capacity: slots)
        few.refill(from: &fewSlots)
        if slots == Burst.capacity {
            lastOutcome = port.receive(into: &burst)
            let frames = SocketLab.frames(burst)
            burst.clear()
            burst.refill(from: &pool)
            few.drain(into: &fewSlots)
            return frames
        }
        lastOutcome = port.receive(into: &few)
        let frames = SocketLab.frames(few)
        few.drain(into: &fewSlots)
        return frames
    }

    private(set) var lastOutcome = ReceiveOutcome.drained

    private static func frames(_ burst: borrowing Burst) -> [[UInt8]] {
        (0..<burst.count).map { Array(burst.frames[$0].buffer) }
    }

    /// Serves the port when its descriptor says so, until `isDone`; all frames that came.
    ///
    /// A descriptor that is readable again and again for nothing is an issue.
    @discardableResult
    func serve(
        _ port: UnixSocketPort, seconds: Double = 5, slots: Int = Burst.capacity,
        _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation,
        until isDone: ([[UInt8]]) throws -> Bool
    ) rethrows -> [[UInt8]] {
        let deadline = Date(timeIntervalSinceNow: seconds)
        var frames: [[UInt8]] = []
        var idle = 0
        while try !isDone(frames) {
            guard Date() < deadline else {
                Issue.record(
                    comment ?? "in vain: \(frames.count) frames, \(port.peerState)",
                    sourceLocation: location)
                break
            }
            guard isReadable(port, milliseconds: 2) else { continue }
            let received = step(port, slots: slots)
            frames += received
            idle = received.isEmpty ? idle + 1 : 0
            if idle > 50 {
                Issue.record("the worker spins", sourceLocation: location)
                break
            }
        }
        return frames
    }

    /// Frames until there are so many.
    func receive(
        _ count: Int, from port: UnixSocketPort, location: SourceLocation = #_sourceLocation
    ) -> [[UInt8]] {
        serve(port, location: location) { $0.count >= count }
    }

    /// Receives as many frames as are expected, and compares them; prints no bytes.
    func expect(
        _ expected: [[UInt8]], from port: UnixSocketPort,
        location: SourceLocation = #_sourceLocation
    ) {
        let received = receive(expected.count, from: port, location: location)
        let differs = zip(received, expected).enumerated().first { $1.0 != $1.1 }?.offset
        if let differs {
            Issue.record("frame \(differs) is another one", sourceLocation: location)
        } else if received.count != expected.count {
            Issue.record(
                "\(received.count) frames, not \(expected.count)", sourceLocation: location)
        }
    }

    func isReadable(_ port: UnixSocketPort, milliseconds: Int32 = 0) -> Bool {
        var request = pollfd(fd: port.pollDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, milliseconds) == 1
    }

    /// Serves the port until its peer's state is as wanted.
    func settle(
        _ port: UnixSocketPort, location: SourceLocation = #_sourceLocation,
        _ isWanted: (PeerState) -> Bool
    ) {
        serve(port, location: location) { _ in isWanted(port.peerState) }
    }

    func connect(_ port: UnixSocketPort, location: SourceLocation = #_sourceLocation) {
        settle(port, location: location) { $0.isConnected }
    }

    /// Transmits frames as one burst; how each went.
    func transmit(
        _ frames: [[UInt8]], to port: UnixSocketPort, tagged: Bool = false
    ) -> [DropReason] {
        SocketLab.transmit(frames, to: port, tagged: tagged)
    }

    static func transmit(_ frames: [[UInt8]], to port: UnixSocketPort, tagged: Bool = false)
        -> [DropReason]
    {
        let stride = SlotSize.vnetHeader + SlotSize.maximumFrame + 64
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: max(frames.count, 1) * stride, alignment: 64)
        defer { memory.deallocate() }
        var entries: [TransmitEntry] = []
        for (place, frame) in frames.enumerated() {
            let start = memory + place * stride
            // What was in the vnet header must not matter.
            start.initializeMemory(
                as: UInt8.self, repeating: 0xEE, count: SlotSize.vnetHeader)
            // A tagged copy is in two pieces, which lie apart.
            let headByteCount = tagged ? min(16, frame.count) : frame.count
            let body = start + SlotSize.vnetHeader + headByteCount + 32
            frame.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                (start + SlotSize.vnetHeader).copyMemory(from: base, byteCount: headByteCount)
                body.copyMemory(
                    from: base + headByteCount, byteCount: frame.count - headByteCount)
            }
            entries.append(
                TransmitEntry(
                    head: start, headByteCount: SlotSize.vnetHeader + headByteCount, body: body,
                    bodyByteCount: frame.count - headByteCount, outcome: .floodNowhere))
        }
        entries.withUnsafeMutableBufferPointer { port.transmit($0) }
        return entries.map(\.outcome)
    }
}

/// The states that a port went through.
final class StateLog: Sendable {
    private let states = Mutex<[PeerState]>([])
    func append(_ state: PeerState) { states.withLock { $0.append(state) } }
    var all: [PeerState] { states.withLock { $0 } }
}

extension PeerState {
    var sentence: String {
        switch self {
        case .waiting(let sentence), .connected(let sentence), .failed(let sentence): sentence
        }
    }
}

/// Numbered frames of given lengths: the number in the first four bytes, then what follows from it.
enum NumberedFrame {
    static func make(_ number: Int, byteCount: Int) -> [UInt8] {
        precondition(byteCount >= 4)
        var random = SeededRandom(seed: UInt64(number))
        var frame = random.bytes(byteCount)
        for place in 0..<4 { frame[place] = UInt8(truncatingIfNeeded: number >> (24 - 8 * place)) }
        return frame
    }

    static func number(_ frame: [UInt8]) -> Int {
        frame.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }
}
