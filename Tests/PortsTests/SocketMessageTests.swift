import CLinux
import Foundation
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A port whose frames are packets of a connection, as User-mode Linux has them", .serialized)
struct SocketPacketTests {
    @Test("listens, and passes frames both ways, as they are")
    func exchange() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.bess, lab.path("s"))
            let peer = try SocketPeer.connect(.sequencedPacket, lab.path("s"))
            lab.connect(port)
            #expect(port.peerState == .connected("connected (bess, pid \(getpid()))"))
            let frames = [1514, 14, 60, 9014, 65_557].map { NumberedFrame.make($0, byteCount: $0) }
            for frame in frames { #expect(peer.send(frame) == frame.count) }
            lab.expect(frames, from: port)
            for tagged in [false, true] {
                #expect(
                    lab.transmit(frames, to: port, tagged: tagged) == frames.map { _ in .none })
                for frame in frames { #expect(peer.read(seconds: 1) == frame) }
            }
            peer.close()
            lab.settle(port) { !$0.isConnected }
            #expect(lab.transmit(frames, to: port).allSatisfy { $0 == .egressDown })
            #expect(!lab.isReadable(port))
            #expect(port.malformedCount == 0)
        }
    }

    @Test("connects, and again")
    func client() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.bess, lab.path("s"), isServer: false)
            for round in 0..<2 {
                let listener = try SocketPeer.listen(.sequencedPacket, lab.path("s"))
                let peer = try listener.accept()
                lab.connect(port)
                let frame = NumberedFrame.make(round, byteCount: 60)
                peer.send(frame)
                lab.expect([frame], from: port)
                listener.close()
                peer.close()
                lab.settle(port) { !$0.isConnected }
            }
        }
    }

    @Test("skips packets that are no frames, and knows them from the end")
    func malformed() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.bess, lab.path("s"))
            let peer = try SocketPeer.connect(.sequencedPacket, lab.path("s"))
            lab.connect(port)
            let frames = (0..<6).map { NumberedFrame.make($0, byteCount: 60 + $0) }
            let tooLong = [UInt8](repeating: 1, count: SlotSize.maximumFrame + 1)
            for packet in [frames[0], [], frames[1], tooLong, frames[2], [], []] {
                #expect(peer.send(packet) == packet.count)
            }
            lab.expect(Array(frames[..<3]), from: port)
            #expect(port.malformedCount == 4)
            #expect(port.peerState.isConnected)
            // With the end right behind it.
            for packet in [frames[3], [], frames[4], [], frames[5]] { peer.send(packet) }
            peer.close()
            lab.expect(Array(frames[3...]), from: port)
            lab.settle(port) { !$0.isConnected }
            #expect(port.malformedCount == 6)
        }
    }

    @Test("gets all that a peer sent before it left, though the peer left its own unread")
    func lastWords() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.bess, lab.path("s"))
            let peer = try SocketPeer.connect(.sequencedPacket, lab.path("s"))
            lab.connect(port)
            let frames = (0..<80).map { NumberedFrame.make($0, byteCount: 100) }
            _ = lab.transmit(Array(frames[..<10]), to: port)
            for frame in frames { #expect(peer.send(frame) == frame.count) }
            peer.close()
            #expect(lab.transmit([frames[0]], to: port) == [.egressDown])
            lab.expect(frames, from: port)
            lab.settle(port) { !$0.isConnected }
        }
    }

    @Test(
        "keeps what a slow peer does not take, in order, drops the rest, and lets the worker sleep")
    func slow() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.bess, lab.path("s"))
            let peer = try SocketPeer.connect(.sequencedPacket, lab.path("s"))
            lab.connect(port)
            var random = SeededRandom(seed: 3)
            var accepted: [[UInt8]] = []
            var received: [[UInt8]] = []
            var isFull = false
            for round in 0..<200 {
                let frames = (0..<64).map {
                    NumberedFrame.make(
                        round << 8 | $0, byteCount: Int.random(in: 14...1514, using: &random))
                }
                for (frame, outcome) in zip(frames, lab.transmit(frames, to: port)) {
                    #expect(outcome == .none || outcome == .egressFull)
                    if outcome == .none { accepted.append(frame) } else { isFull = true }
                }
                for _ in 0..<Int.random(in: 0...50, using: &random) {
                    if let frame = peer.read(2000) { received.append(frame) }
                }
            }
            #expect(isFull)
            // Until the peer reads again, there is nothing for the worker to do.
            _ = lab.step(port)
            #expect(!lab.isReadable(port, milliseconds: 20))
            lab.serve(port) { _ in
                while let frame = peer.read(2000) { received.append(frame) }
                return received.count >= accepted.count
            }
            #expect(received == accepted)
            _ = lab.step(port)
            #expect(!lab.isReadable(port))
        }
    }

    @Test("hangs up one direction only")
    func halfClosed() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.bess, lab.path("s"))
            let peer = try SocketPeer.connect(.sequencedPacket, lab.path("s"))
            lab.connect(port)
            let frame = NumberedFrame.make(1, byteCount: 60)
            for _ in 0..<20 {
                _ = lab.transmit([[UInt8]](repeating: frame, count: 64), to: port)
            }
            shutdown(peer.descriptor, Int32(SHUT_RD))
            // What it left unread keeps its queue full, as of one that does not read.
            var sent = 0
            while lab.transmit([frame], to: port) == [.none] { sent += 1 }
            #expect(sent < 10_000)
            peer.send(frame)
            lab.expect([frame], from: port)
            _ = lab.step(port)
            #expect(!lab.isReadable(port, milliseconds: 20))
        }
    }
}

@Suite("A port whose frames are datagrams, as QEMU has them", .serialized)
struct SocketDatagramTests {
    @Test("passes frames both ways with a peer whose path it was given", arguments: [true, false])
    func given(isFirst: Bool) throws {
        try SocketLab.with { lab in
            let early = isFirst ? try SocketPeer.datagrams(at: lab.path("vm")) : nil
            let port = try lab.port(.qemuDatagram, lab.path("sw"), peer: lab.path("vm"))
            let peer = try early ?? SocketPeer.datagrams(at: lab.path("vm"))
            let frames = [1514, 14, 60, 9014].map { NumberedFrame.make($0, byteCount: $0) }
            // As QEMU sends.
            for frame in frames { #expect(try peer.send(frame, to: lab.path("sw")) == frame.count) }
            lab.expect(frames, from: port)
            #expect(
                port.peerState == .connected("connected (qemu-dgram, \(lab.path("vm")))"))
            #expect(lab.transmit(frames, to: port) == frames.map { _ in .none })
            for frame in frames { #expect(peer.read(seconds: 1) == frame) }
            port.close()
            #expect(lab.files == ["vm"])
        }
    }

    @Test("learns its peer from the first datagram, and that one is not lost")
    func learned() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuDatagram, lab.path("sw"))
            #expect(port.peerState == .waiting("waiting for a datagram to \(lab.path("sw"))"))
            let frame = NumberedFrame.make(1, byteCount: 60)
            #expect(lab.transmit([frame], to: port) == [.egressDown])
            let peer = try SocketPeer.datagrams(at: lab.path("vm"))
            try peer.send(frame, to: lab.path("sw"))
            lab.expect([frame], from: port)
            #expect(
                port.peerState
                    == .connected("connected (qemu-dgram, pid \(getpid()) at \(lab.path("vm")))"))
            #expect(lab.transmit([frame], to: port) == [.none])
            #expect(peer.read(seconds: 1) == frame)
            // From then on the kernel takes datagrams from nobody else.
            let stranger = try SocketPeer.datagrams(at: lab.path("stranger"))
            #expect(try stranger.send(frame, to: lab.path("sw")) == -Int(EPERM))
        }
    }

    @Test(
        "says 'egress-down' when its peer is gone, and goes on when one is back",
        arguments: [true, false])
    func restart(isGiven: Bool) throws {
        try SocketLab.with { lab in
            let port = try lab.port(
                .qemuDatagram, lab.path("sw"), peer: isGiven ? lab.path("vm") : nil)
            let frame = NumberedFrame.make(1, byteCount: 60)
            for round in 0..<3 {
                let peer = try SocketPeer.datagrams(at: lab.path("vm"))
                // QEMU does not try again; a guest does.
                let first = try lab.serve(port) { frames in
                    if frames.isEmpty { try peer.send(frame, to: lab.path("sw")) }
                    return !frames.isEmpty
                }
                #expect(first.first == frame)
                lab.connect(port)
                #expect(lab.transmit([frame], to: port) == [.none])
                #expect(peer.read(seconds: 1) == frame)
                if round == 1 { unlink(lab.path("vm")) }
                peer.close()
                // A child of another test holds a copy of the socket from its fork to its exec.
                var outcomes = lab.transmit([frame, frame], to: port)
                for _ in 0..<400 where outcomes != [.egressDown, .egressDown] {
                    usleep(5000)
                    outcomes = lab.transmit([frame, frame], to: port)
                }
                #expect(outcomes == [.egressDown, .egressDown])
                lab.settle(port) { !$0.isConnected }
                #expect(!lab.isReadable(port))
            }
        }
    }

    @Test("notices by itself that its peer is gone, without sending")
    func silent() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuDatagram, lab.path("sw"))
            let frame = NumberedFrame.make(1, byteCount: 60)
            let peer = try SocketPeer.datagrams(at: lab.path("vm"))
            try peer.send(frame, to: lab.path("sw"))
            lab.expect([frame], from: port)
            // What it sent last is received.
            try peer.send(frame, to: lab.path("sw"))
            peer.close()
            #expect(lab.serve(port) { _ in !port.peerState.isConnected } == [frame])
            let next = try SocketPeer.datagrams(at: lab.path("next"))
            try next.send(frame, to: lab.path("sw"))
            lab.expect([frame], from: port)
        }
    }

    @Test("loses nothing to a receiver's queue of ten")
    func shortQueue() throws {
        try SocketLab.with { lab in
            let peer = try SocketPeer.datagrams(at: lab.path("vm"))
            let port = try lab.port(.qemuDatagram, lab.path("sw"), peer: lab.path("vm"))
            lab.connect(port)
            let frames = (0..<128).map { NumberedFrame.make($0, byteCount: 1514) }
            #expect(lab.transmit(Array(frames[..<64]), to: port).allSatisfy { $0 == .none })
            #expect(!lab.isReadable(port, milliseconds: 20), "and the worker sleeps meanwhile")
            #expect(lab.transmit(Array(frames[64...]), to: port).allSatisfy { $0 == .none })
            var received: [[UInt8]] = []
            lab.serve(port) { _ in
                while let frame = peer.read(2000) { received.append(frame) }
                return received.count == 128
            }
            #expect(received == frames)
            _ = lab.step(port)
            #expect(!lab.isReadable(port))
            // The other way there is no such limit, since the port is connected.
            for frame in frames.prefix(64) {
                #expect(try peer.send(frame, to: lab.path("sw")) == frame.count)
            }
            lab.expect(Array(frames.prefix(64)), from: port)
        }
    }

    @Test("notices at once that a peer is gone whose queue was full")
    func goneWhileFull() throws {
        try SocketLab.with { lab in
            let peer = try SocketPeer.datagrams(at: lab.path("vm"))
            let port = try lab.port(.qemuDatagram, lab.path("sw"), peer: lab.path("vm"))
            lab.connect(port)
            let frames = (0..<64).map { NumberedFrame.make($0, byteCount: 1514) }
            while lab.transmit(frames, to: port).last == DropReason.none {}
            #expect(!lab.isReadable(port, milliseconds: 20))
            peer.close()
            #expect(lab.isReadable(port, milliseconds: 500))
            lab.settle(port) { !$0.isConnected }
            #expect(lab.transmit(frames, to: port).allSatisfy { $0 == .egressDown })
            #expect(!lab.isReadable(port))
        }
    }

    @Test("drops what is no frame, and takes none from a sender that it cannot answer")
    func strangers() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.qemuDatagram, lab.path("sw"))
            let nameless = SocketPeer(socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
            for _ in 0..<500 { _ = try nameless.send([1, 2, 3], to: lab.path("sw")) }
            lab.settle(port) { $0.sentence.contains("named no absolute path") }
            let peer = try SocketPeer.datagrams(at: lab.path("vm"))
            let frame = NumberedFrame.make(1, byteCount: 60)
            let tooLong = [UInt8](repeating: 1, count: SlotSize.maximumFrame + 1)
            try lab.serve(port) { _ in
                try peer.send(tooLong, to: lab.path("sw"))
                return port.peerState.isConnected
            }
            try peer.send([], to: lab.path("sw"))
            try peer.send(frame, to: lab.path("sw"))
            lab.expect([frame], from: port)
            #expect(port.malformedCount >= 2)
            #expect(port.peerState.isConnected)
        }
    }

    @Test(
        "does not send to a socket of another user that a sender names", .enabled(if: getuid() == 0)
    )
    func deputy() throws {
        try SocketLab.with { lab in
            let victim = try SocketPeer.datagrams(at: lab.path("victim"))
            try #require(chown(lab.path("victim"), 7, 7) == 0)
            let sender = SocketPeer(socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
            #expect(throws: NamedSocket.Refusal.notTheirs(lab.path("victim"))) {
                try NamedSocket.connect(sender.descriptor, to: lab.path("victim"), owner: 8)
            }
            symlink(lab.path("victim"), lab.path("link"))
            #expect(throws: NamedSocket.Refusal.notASocket(lab.path("link"))) {
                try NamedSocket.connect(sender.descriptor, to: lab.path("link"), owner: 7)
            }
            close(try NamedSocket.connect(sender.descriptor, to: lab.path("victim"), owner: 7))
            sender.send([1])
            #expect(victim.read(seconds: 1) == [1])
        }
    }
}
