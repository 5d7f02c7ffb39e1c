import CLinux
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A switch of socket ports, with a forwarding thread", .serialized)
struct SocketSwitchTests {
    private static let header = 14

    /// A numbered frame between two hosts.
    private func frame(_ number: Int, from source: UInt8, to destination: UInt8, byteCount: Int)
        -> [UInt8]
    {
        [2, 0, 0, 0, 0, destination, 2, 0, 0, 0, 0, source, 0x88, 0xB5]
            + NumberedFrame.make(number, byteCount: byteCount - Self.header)
    }

    private func number(_ frame: [UInt8]) -> Int {
        NumberedFrame.number(Array(frame.dropFirst(Self.header)))
    }

    @Test("passes every frame between all kinds of them, in order, and sleeps afterwards")
    func allKinds() throws {
        try SocketLab.with { lab in
            // Declared before the thread, so that it outlives it.
            let fabric = Fabric(portCapacity: 64, domainCapacity: 16, fdbCapacity: 4096)
            let ports = [
                try lab.port(.qemuStream, lab.path("stream")),
                try lab.port(.bess, lab.path("bess")),
                try lab.port(.qemuDatagram, lab.path("dgram")),
            ]
            _ = fabric.publish(
                DataplaneConfiguration(
                    domains: [DomainConfiguration(number: 1, vid: 10)],
                    ports: ports.enumerated().map {
                        PortConfiguration(
                            number: UInt16($0), membership: .access(domain: 1), port: $1)
                    }))
            let thread = try WorkerThread(fabric: fabric, index: 0)
            try thread.start()
            defer { thread.stop() }

            let stream = try SocketPeer.connect(.stream, lab.path("stream"))
            let bess = try SocketPeer.connect(.sequencedPacket, lab.path("bess"))
            let dgram = try SocketPeer.datagrams(at: lab.path("vm"), to: lab.path("dgram"))
            // Each is heard once.
            stream.send(FrameStream.encode(frame(0, from: 1, to: 0xFF, byteCount: 60)))
            bess.send(frame(0, from: 2, to: 0xFF, byteCount: 60))
            dgram.send(frame(0, from: 3, to: 0xFF, byteCount: 60))
            wait { fabric.fdb.learnedCount == 3 }
            wait { ports.allSatisfy { $0.peerState.isConnected } }
            var rest: [UInt8] = []
            func readStream() -> [[UInt8]] {
                rest += stream.read() ?? []
                guard let decoded = FrameStream.decode(rest) else { return [] }
                rest = decoded.rest
                return decoded.frames
            }
            usleep(20_000)
            _ = readStream()
            while bess.read() != nil {}
            while dgram.read() != nil {}

            // Stream to bess, bess to dgram, dgram to stream; never more than a queue takes.
            var received: [[Int]] = [[], [], []]
            let count = 5000
            var random = SeededRandom(seed: 11)
            var sent = 0
            let deadline = Date(timeIntervalSinceNow: 30)
            while received.contains(where: { $0.count < count }), Date() < deadline {
                let done = received.map(\.count).min() ?? 0
                while sent < count, sent - done < 40 {
                    let size = Int.random(in: 60...1514, using: &random)
                    let bytes = FrameStream.encode(frame(sent, from: 1, to: 2, byteCount: size))
                    #expect(stream.send(bytes) == bytes.count)
                    #expect(bess.send(frame(sent, from: 2, to: 3, byteCount: size)) == size)
                    #expect(dgram.send(frame(sent, from: 3, to: 1, byteCount: size)) == size)
                    sent += 1
                }
                while let frame = bess.read(2000) { received[0].append(number(frame)) }
                while let frame = dgram.read(2000) { received[1].append(number(frame)) }
                received[2] += readStream().map(number)
            }
            for numbers in received { #expect(numbers == Array(0..<count)) }
            for port in 0..<3 as Range<UInt16> {
                #expect(fabric.value(.received, port: port) == UInt64(count + 1))
                #expect(fabric.value(.egressFull, port: port) == 0)
            }

            // With nothing to do it does nothing.
            let before = fabric.links[0].bursts.load(ordering: .relaxed)
            let sleeps = fabric.links[0].sleeps.load(ordering: .relaxed)
            usleep(200_000)
            #expect(fabric.links[0].bursts.load(ordering: .relaxed) == before)
            #expect(fabric.links[0].sleeps.load(ordering: .relaxed) - sleeps < 5)

            // And a peer that leaves does not keep it busy.
            stream.close()
            bess.close()
            dgram.close()
            wait { ports.allSatisfy { !$0.peerState.isConnected } }
            let after = fabric.links[0].sleeps.load(ordering: .relaxed)
            usleep(200_000)
            #expect(fabric.links[0].sleeps.load(ordering: .relaxed) - after < 5)
        }
    }

    private func wait(
        _ location: SourceLocation = #_sourceLocation, _ isDone: () -> Bool
    ) {
        let deadline = Date(timeIntervalSinceNow: 5)
        while !isDone(), Date() < deadline { usleep(1000) }
        #expect(isDone(), sourceLocation: location)
    }

    /// A worker that serves one port and sends numbered frames to it all the time.
    private final class Sender: @unchecked Sendable {
        // @unchecked: what it counts is read after it has ended.
        private let port: UnixSocketPort
        private let isStopping = Atomic<Bool>(false)
        private let ended = DispatchSemaphore(value: 0)
        let hasDropped = Atomic<Bool>(false)
        private(set) var received: [Int] = []
        private(set) var accepted = 0
        private(set) var offered = 0
        private(set) var wakes = 0

        init(_ port: UnixSocketPort) { self.port = port }

        func start() {
            Thread { [self] in
                run()
                ended.signal()
            }.start()
        }

        func stop() {
            isStopping.store(true, ordering: .releasing)
            ended.wait()
        }

        private func run() {
            var pool = FramePool(capacity: Burst.capacity)
            var burst = Burst()
            while !isStopping.load(ordering: .acquiring) {
                var request = pollfd(
                    fd: port.pollDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
                if poll(&request, 1, 1) == 1 {
                    burst.refill(from: &pool)
                    _ = port.receive(into: &burst)
                    if burst.count == 0 { wakes += 1 }
                    for place in 0..<burst.count {
                        received.append(
                            NumberedFrame.number(Array(burst.frames[place].buffer)))
                    }
                    burst.clear()
                }
                let frames = (0..<20).map {
                    NumberedFrame.make(offered + $0, byteCount: 60 + (offered + $0) % 1400)
                }
                offered += 20
                let outcomes = SocketLab.transmit(frames, to: port)
                accepted += outcomes.filter { $0 == .none }.count
                if outcomes.last == .egressFull { hasDropped.store(true, ordering: .relaxed) }
                precondition(
                    outcomes.allSatisfy { [.none, .egressFull, .egressDown].contains($0) })
            }
            burst.drain(into: &pool)
        }
    }

    @Test(
        "survives peers that come, go, lie and stall while a worker sends and receives",
        arguments: [true, false])
    func chaos(isStream: Bool) throws {
        try SocketLab.with { lab in
            let kind: UnixEndpoint.Kind = isStream ? .stream : .sequencedPacket
            for round in 0..<4 as Range<UInt64> {
                let path = lab.path("s")
                let port = try lab.port(isStream ? .qemuStream : .bess, path)
                let worker = Sender(port)
                worker.start()
                var random = SeededRandom(seed: round)
                var sent: Set<Int> = []
                var number = 0
                for _ in 0..<60 {
                    guard let descriptor = try UnixEndpoint.connect(kind, path) else { continue }
                    let peer = SocketPeer(descriptor)
                    var numbers: [Int] = []
                    var bytes: [UInt8] = []
                    for _ in 0..<Int.random(in: 0...30, using: &random) {
                        switch Int.random(in: 0..<40, using: &random) {
                        case 0: peer.send(isStream ? [0, 0, 0] : [])
                        case 1 where isStream: peer.send([0xFF, 0xFF, 0xFF, 0xFF])
                        case 2: usleep(500)
                        case 3: shutdown(peer.descriptor, Int32.random(in: 0...2, using: &random))
                        case 4...20:
                            if isStream {
                                bytes += peer.read(Int.random(in: 1...9000, using: &random)) ?? []
                            } else if let frame = peer.read(2000), !frame.isEmpty {
                                numbers.append(NumberedFrame.number(frame))
                            }
                        default:
                            let frame = NumberedFrame.make(number, byteCount: 60)
                            sent.insert(number)
                            number += 1
                            peer.send(isStream ? FrameStream.encode(frame) : frame)
                        }
                    }
                    if isStream {
                        let decoded = FrameStream.decode(bytes)
                        #expect(decoded != nil)
                        numbers = (decoded?.frames ?? []).map(NumberedFrame.number)
                    }
                    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
                    peer.close()
                }
                if round % 2 == 0 { port.close() }
                usleep(20_000)
                worker.stop()
                port.close()
                #expect(lab.files == [])
                if !isStream { #expect(Set(worker.received).isSubset(of: sent)) }
                let inOrder = zip(worker.received, worker.received.dropFirst())
                if !isStream { #expect(inOrder.allSatisfy { $0 < $1 }) }
                #expect(worker.accepted <= worker.offered)
            }
        }
    }

    @Test("loses no frame between a port that listens and one that connects, however slow one is")
    func conservation() throws {
        for kind in [UnixSocketPort.Kind.qemuStream, .bess, .vde] {
            try SocketLab.with { lab in
                let left = try lab.port(kind, lab.path("s"))
                let right = try lab.port(kind, lab.path("s"), isServer: false)
                lab.connect(left)
                lab.connect(right)
                let worker = Sender(right)
                worker.start()
                var received: [Int] = []
                let start = Date()
                while !worker.hasDropped.load(ordering: .relaxed), Date() < start + 10 {
                    received += lab.step(left, slots: 3).map(NumberedFrame.number)
                    usleep(500)
                }
                worker.stop()
                // What is stuck at the other end goes out by its own descriptor.
                let end = Date(timeIntervalSinceNow: 5)
                while received.count < worker.accepted, Date() < end {
                    received += lab.step(left).map(NumberedFrame.number)
                    if lab.isReadable(right) { _ = lab.step(right) }
                }
                #expect(received.count == worker.accepted)
                #expect(worker.offered > worker.accepted)
                #expect(zip(received, received.dropFirst()).allSatisfy { $0 < $1 })
            }
        }
    }
}
