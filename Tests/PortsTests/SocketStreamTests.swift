import CLinux
import Foundation
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A port that speaks QEMU's stream protocol", .serialized)
struct SocketStreamTests {
    @Test("listens, takes frames from its peer and gives it others, as they are")
    func exchange() throws {
        try SocketLab.with { lab in
            let states = StateLog()
            let port = try lab.port(.qemuStream, lab.path("vm1"), states: states)
            #expect(port.peerState == .waiting("waiting for a peer at \(lab.path("vm1"))"))
            #expect(port.offloads == [])
            let peer = try SocketPeer.connect(.stream, lab.path("vm1"))
            lab.connect(port)
            #expect(port.peerState == .connected("connected (qemu-stream, pid \(getpid()))"))
            let frames = [14, 42, 60, 1514, 9014, 65_557].map {
                NumberedFrame.make($0, byteCount: $0)
            }
            #expect(peer.send(FrameStream.encode(frames)) == FrameStream.encode(frames).count)
            lab.expect(frames, from: port)
            #expect(lab.transmit(frames, to: port) == frames.map { _ in .none })
            let expected = FrameStream.encode(frames)
            #expect(peer.readStream(expected.count) == expected)
            #expect(lab.transmit(frames, to: port, tagged: true) == frames.map { _ in .none })
            #expect(peer.readStream(expected.count) == expected)
            peer.close()
            lab.settle(port) { !$0.isConnected }
            #expect(
                port.peerState
                    == .waiting("waiting for a peer at \(lab.path("vm1")): pid \(getpid()) left"))
            #expect(lab.transmit(frames, to: port) == frames.map { _ in .egressDown })
            lab.serve(port) { _ in states.all.count == 3 }
            #expect(states.all.last == port.peerState)
            #expect(!lab.isReadable(port))
        }
    }

    @Test("cuts frames at whatever border a write ends", arguments: [1, 2, 3, 5, 64])
    func borders(slots: Int) throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let frames = [14, 1, 60, 33].map { NumberedFrame.make($0, byteCount: max($0, 4)) }
            let stream = FrameStream.encode(frames)
            for border in 0...stream.count {
                if border > 0 { peer.send(Array(stream[..<border])) }
                let whole = FrameStream.decode(Array(stream[..<border]))?.frames.count ?? 0
                let first = lab.serve(port, slots: slots) { $0.count >= whole }
                _ = lab.step(port)
                #expect(!lab.isReadable(port), "half a frame is no reason to wake up")
                if border < stream.count { peer.send(Array(stream[border...])) }
                let second = lab.serve(port, slots: slots) {
                    first.count + $0.count >= frames.count
                }
                #expect(first + second == frames)
            }
            #expect(port.malformedCount == 0)
        }
    }

    @Test("tells of frames that it holds itself when a burst is full")
    func leftovers() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let frames = (0..<300).map { NumberedFrame.make($0, byteCount: 60) }
            peer.send(FrameStream.encode(frames))
            var received = lab.step(port)
            #expect(received.count == 64)
            #expect(lab.isReadable(port))
            received += lab.serve(port) { $0.count + received.count >= 300 }
            #expect(received == frames)
            _ = lab.step(port)
            #expect(!lab.isReadable(port))
        }
    }

    @Test("never gives half a frame, and everything in order, to a peer that reads in bits")
    func partialWrites() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            var random = SeededRandom(seed: 5)
            var accepted: [[UInt8]] = []
            var stream: [UInt8] = []
            var isFull = false
            for round in 0..<300 {
                let frames = (0..<Int.random(in: 1...64, using: &random)).map { place in
                    NumberedFrame.make(
                        round << 8 | place,
                        byteCount: Int.random(
                            in: 14...(round % 7 == 0 ? 60_000 : 1514), using: &random))
                }
                let outcomes = lab.transmit(frames, to: port, tagged: round % 2 == 0)
                for (frame, outcome) in zip(frames, outcomes) {
                    #expect(outcome == .none || outcome == .egressFull)
                    if outcome == .none { accepted.append(frame) } else { isFull = true }
                }
                // None is taken behind one that was not.
                if let first = outcomes.firstIndex(of: .egressFull) {
                    #expect(outcomes[first...].allSatisfy { $0 == .egressFull })
                }
                if round % 3 == 0 {
                    let limit = Int.random(in: 1...200_000, using: &random)
                    stream += peer.read(limit) ?? []
                }
            }
            #expect(isFull)
            // What is stuck comes without another transmit, once the peer reads.
            let expected = FrameStream.encode(accepted)
            lab.serve(port) { _ in
                stream += peer.read() ?? []
                return stream.count >= expected.count
            }
            #expect(stream == expected)
            _ = lab.step(port)
            #expect(!lab.isReadable(port), "nothing waits to be sent any more")
        }
    }

    @Test("keeps the worker asleep while the peer does not read")
    func neverReads() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let frames = (0..<64).map { NumberedFrame.make($0, byteCount: 1514) }
            var outcomes: [DropReason] = []
            for _ in 0..<50 { outcomes += lab.transmit(frames, to: port) }
            #expect(outcomes.last == .egressFull)
            #expect(!lab.isReadable(port, milliseconds: 20))
            // The other direction goes on.
            peer.send(FrameStream.encode(frames))
            lab.expect(frames, from: port)
            let taken = outcomes.filter { $0 == .none }.count
            let stream = peer.readStream(10_000_000, seconds: 0.2)
            _ = lab.serve(port) { _ in !lab.isReadable(port) }
            let all = stream + peer.readStream(10_000_000, seconds: 0.2)
            let decoded = try #require(FrameStream.decode(all))
            #expect(decoded.frames.count == taken)
            #expect(decoded.rest.isEmpty)
        }
    }

    @Test("refuses a second peer until the first has left")
    func oneAtATime() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let first = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let second = try SocketPeer.connect(.stream, lab.path("s"))
            #expect(second.hasEnded())
            lab.settle(port) { $0.sentence.contains("refused") }
            #expect(
                port.peerState.sentence == "connected (qemu-stream, pid \(getpid())); "
                    + "pid \(getpid()) was refused: one peer at a time")
            let frame = NumberedFrame.make(1, byteCount: 60)
            first.send(FrameStream.encode(frame))
            lab.expect([frame], from: port)
            first.close()
            // At once: the port may not even know yet that the first has left.
            let third = try SocketPeer.connect(.stream, lab.path("s"))
            third.send(FrameStream.encode(frame))
            lab.expect([frame], from: port)
            #expect(port.peerState.isConnected)
        }
    }

    @Test("gets all that a peer sent before it left, though the peer left its own unread")
    func lastWords() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let frames = (0..<100).map { NumberedFrame.make($0, byteCount: 1000) }
            #expect(lab.transmit(Array(frames[..<10]), to: port).allSatisfy { $0 == .none })
            peer.send(FrameStream.encode(frames))
            peer.close()
            #expect(lab.transmit([frames[0]], to: port) == [.egressDown])
            lab.expect(frames, from: port)
            lab.settle(port) { !$0.isConnected }
        }
    }

    @Test("connects, and again whenever the other end comes back")
    func client() throws {
        try SocketLab.with { lab in
            let path = lab.path("s")
            let port = try lab.port(.qemuStream, path, isServer: false)
            #expect(port.peerState == .waiting("waiting for somebody to listen at \(path)"))
            for round in 0..<3 {
                let listener = try SocketPeer.listen(.stream, path)
                let peer = try listener.accept()
                lab.connect(port)
                let frame = NumberedFrame.make(round, byteCount: 60)
                peer.send(FrameStream.encode(frame))
                lab.expect([frame], from: port)
                listener.close()
                peer.close()
                lab.settle(port) { !$0.isConnected }
            }
        }
    }

    @Test("tries less and less often, and not again at all after it was closed")
    func backoff() throws {
        try SocketLab.with { lab in
            let listener = try SocketPeer.listen(.stream, lab.path("s"))
            let states = StateLog()
            let port = try lab.port(
                .qemuStream, lab.path("s"), isServer: false, states: states)
            var times: [Date] = []
            for round in 1...4 {
                let peer = try listener.accept()
                times.append(Date())
                peer.close()
                lab.serve(port) { _ in
                    states.all.filter(\.isConnected).count == round
                        && states.all.last?.isConnected == false
                }
            }
            let gaps = zip(times.dropFirst(), times).map { $0.timeIntervalSince($1) }
            for (gap, least) in zip(gaps, [0.1, 0.2, 0.4]) { #expect(gap >= least * 0.9) }
            port.close()
            #expect(!listener.waitReadable(seconds: 1.2))
        }
    }

    @Test("leaves no file and no connection when it is closed, and a worker may go on to call it")
    func closing() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            port.close()
            port.close()
            #expect(lab.files == [])
            #expect(peer.hasEnded())
            #expect(lab.step(port) == [])
            #expect(!lab.isReadable(port))
            #expect(lab.transmit([NumberedFrame.make(1, byteCount: 60)], to: port) == [.egressDown])
            #expect(throws: UnixEndpoint.Failure.self) {
                _ = try lab.port(.qemuStream, lab.path("no/folder"))
            }
            #expect(lab.files == [])
        }
    }
}
