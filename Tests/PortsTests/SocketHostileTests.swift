import CLinux
import Foundation
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A hostile peer of a socket port", .serialized)
struct SocketHostileTests {
    @Test(
        "that announces a frame that cannot be is closed, by name, and the next is served",
        arguments: [0, 65_558, 0xFFFF_FFFF] as [UInt32])
    func length(length: UInt32) throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let good = NumberedFrame.make(1, byteCount: 60)
            let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
            peer.send(FrameStream.encode(good) + header + [1, 2, 3])
            lab.expect([good], from: port)
            lab.settle(port) { !$0.isConnected }
            #expect(
                port.peerState
                    == .failed(
                        "waiting for a peer at \(lab.path("s")): pid \(getpid()) announced a frame "
                            + "of \(length) bytes"))
            #expect(port.malformedCount == 1)
            #expect(peer.hasEnded())
            #expect(!lab.isReadable(port))
            let next = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            next.send(FrameStream.encode(good))
            lab.expect([good], from: port)
        }
    }

    @Test("that leaves in the middle of a frame, or sends one byte and waits, does no harm")
    func halves() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let good = FrameStream.encode(NumberedFrame.make(1, byteCount: 60))
            for border in 1..<good.count {
                let peer = try SocketPeer.connect(.stream, lab.path("s"))
                peer.send(Array(good[..<border]))
                peer.close()
                lab.settle(port) { $0.sentence.hasSuffix("left in the middle of a frame") }
                #expect(port.malformedCount == UInt64(border))
                let slow = try SocketPeer.connect(.stream, lab.path("s"))
                slow.send(Array(good[..<border]))
                lab.connect(port)
                _ = lab.step(port)
                #expect(!lab.isReadable(port))
                slow.send(Array(good[border...]))
                #expect(lab.receive(1, from: port).count == 1)
                slow.close()
                lab.settle(port) { !$0.isConnected }
            }
        }
    }

    @Test("that hangs up one direction only keeps the other")
    func halfClosed() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let frame = NumberedFrame.make(1, byteCount: 60)
            // Something is stuck when it stops reading.
            for _ in 0..<20 {
                _ = lab.transmit(
                    [[UInt8]](repeating: [UInt8](repeating: 1, count: 9000), count: 64), to: port)
            }
            shutdown(peer.descriptor, Int32(SHUT_RD))
            #expect(lab.transmit([frame], to: port) == [.egressDown])
            peer.send(FrameStream.encode(frame))
            lab.expect([frame], from: port)
            _ = lab.step(port)
            #expect(!lab.isReadable(port, milliseconds: 20), "and the worker sleeps")
            shutdown(peer.descriptor, Int32(SHUT_WR))
            lab.settle(port) { !$0.isConnected }
        }
    }

    @Test("that connects again and again does not keep the loop from its other work")
    func flood() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let first = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            var others: [SocketPeer] = []
            let start = Date()
            while Date() < start + 0.5 {
                // Its queue is full for most of the time.
                if let peer = try UnixEndpoint.connect(.stream, lab.path("s")) {
                    others.append(SocketPeer(peer))
                }
                if others.count > 200 { others.removeAll() }
            }
            others.removeAll()
            #expect(port.peerState.isConnected)
            let frame = NumberedFrame.make(1, byteCount: 60)
            first.send(FrameStream.encode(frame))
            lab.expect([frame], from: port)
        }
    }

    @Test("that floods is read a burst at a time")
    func floods() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuStream, lab.path("s"))
            let peer = try SocketPeer.connect(.stream, lab.path("s"))
            lab.connect(port)
            let stream = FrameStream.encode(
                (0..<2000).map { NumberedFrame.make($0, byteCount: 14) })
            var sent = 0
            var received = 0
            while received < 2000 {
                if sent < stream.count { sent += max(peer.send(Array(stream[sent...])), 0) }
                let frames = lab.step(port)
                #expect(frames.count <= Burst.capacity)
                received += frames.count
            }
            #expect(received == 2000)
        }
    }
}
