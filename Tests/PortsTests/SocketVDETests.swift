import CLinux
import Foundation
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

/// A plug as libvdeplug makes it, step by step.
private final class Plug {
    let control: SocketPeer
    let data: SocketPeer
    private(set) var reply: [UInt8]?

    init(_ folder: String, port: UInt32 = 0, name: String = "plug") throws {
        control = try SocketPeer.connect(.stream, folder + "/ctl")
        let path = "\(folder)/.\(name)"
        data = try SocketPeer.datagrams(at: path)
        let request = VDERequest(
            port: port, address: try UnixEndpoint.address(path), description: "a test")
        control.send(request.bytes)
        reply = control.read(seconds: 2)
        unlink(path)
    }

    /// The path in the reply.
    var path: String? {
        guard let reply, reply.count == 110 else { return nil }
        return String(decoding: reply[2...].prefix { $0 != 0 }, as: UTF8.self)
    }

    func plugIn() throws {
        try data.aim(at: try #require(path, "no port was given: \(reply?.count ?? -1) bytes"))
    }
}

@Suite("The request of a VDE plug")
struct SocketVDERequestTests {
    @Test("is read and written as vde_plug 4.0.1 writes it")
    func golden() throws {
        let path = Array("/tmp/vdet/sw/.11665-00000".utf8)
        let golden: [UInt8] =
            [
                0xCE, 0xFA, 0xED, 0xFE,  // magic
                3, 0, 0, 0,  // version
                0, 0, 0, 0,  // type 0, port 0
                1, 0,  // AF_UNIX
            ] + path + [UInt8](repeating: 0, count: 108 - path.count)
            + Array("vdeplug: user=root pid=11665".utf8)
        #expect(golden.count == 150)
        let request = try #require(try VDERequest(golden))
        #expect(request.port == 0)
        #expect(request.description == "vdeplug: user=root pid=11665")
        let named = try NamedSocket.path(of: request.address, byteCount: 110)
        #expect(Array(named.utf8) == path)
        #expect(request.bytes == golden)
        for count in 0..<122 { #expect(try VDERequest(Array(golden[..<count])) == nil) }
        #expect(MemoryLayout<sockaddr_un>.size == 110)
    }

    @Test("may have any bytes", arguments: 0..<50 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<200 {
            var bytes = random.bytes(Int.random(in: 0...250, using: &random))
            let prefix: [UInt8] = [0xCE, 0xFA, 0xED, 0xFE, 3, 0, 0, 0, 0]
            for place in prefix.indices.prefix(Int.random(in: 0...9, using: &random))
            where place < bytes.count {
                bytes[place] = prefix[place]
            }
            guard let request = try? VDERequest(bytes) else { continue }
            _ = try? NamedSocket.path(of: request.address, byteCount: 110)
            #expect(request.bytes.prefix(122) == bytes.prefix(122))
        }
    }
}

@Suite("A port that is a VDE switch", .serialized)
struct SocketVDETests {
    @Test("makes its folder, takes one plug, passes frames, and leaves nothing")
    func exchange() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            let port = try lab.port(.vde, folder)
            #expect(port.peerState == .waiting("waiting for a peer at \(folder)"))
            let plug = try Plug(folder)
            try plug.plugIn()
            #expect(plug.path?.hasPrefix("\(folder)/001.") == true)
            lab.connect(port)
            #expect(port.peerState == .connected("connected (vde, pid \(getpid()))"))
            let frames = [1514, 14, 60, 9014].map { NumberedFrame.make($0, byteCount: $0) }
            for frame in frames { #expect(plug.data.send(frame) == frame.count) }
            lab.expect(frames, from: port)
            #expect(lab.transmit(frames, to: port) == frames.map { _ in .none })
            for frame in frames { #expect(plug.data.read(seconds: 1) == frame) }

            let second = try Plug(folder, name: "second")
            #expect(second.reply == [], "the connection is closed")
            #expect(port.peerState.isConnected)

            // What it sent before it was pulled out is received.
            plug.data.send(frames[0])
            plug.control.close()
            #expect(lab.serve(port) { _ in !port.peerState.isConnected } == [frames[0]])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["ctl"])
            let third = try Plug(folder, port: 12, name: "third")
            try third.plugIn()
            #expect(third.path?.hasPrefix("\(folder)/012.") == true)
            third.data.send(frames[1])
            lab.expect([frames[1]], from: port)
            port.close()
            #expect(lab.files == [])
        }
    }

    @Test("does not limit a plug's queue to ten, in either direction")
    func queues() throws {
        try SocketLab.with { lab in
            let port = try lab.port(.vde, lab.path("vde"))
            let plug = try Plug(lab.path("vde"))
            try plug.plugIn()
            let frames = (0..<64).map { NumberedFrame.make($0, byteCount: 1514) }
            for frame in frames { #expect(plug.data.send(frame) == frame.count) }
            lab.expect(frames, from: port)
            #expect(lab.transmit(frames, to: port).allSatisfy { $0 == .none })
            for frame in frames { #expect(plug.data.read(2000, seconds: 1) == frame) }
        }
    }

    @Test("keeps a folder that was there, and refuses one where a switch is, or a file")
    func folders() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: false)
            let port = try lab.port(.vde, folder)
            #expect(throws: UnixEndpoint.Failure.inUse(folder + "/ctl")) {
                try lab.port(.vde, folder)
            }
            #expect(access(folder + "/ctl", F_OK) == 0)
            port.close()
            #expect(lab.files == ["vde"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
            _ = FileManager.default.createFile(atPath: lab.path("file"), contents: nil)
            #expect(throws: UnixEndpoint.Failure.notAFolder(lab.path("file"))) {
                try lab.port(.vde, lab.path("file"))
            }
            #expect(throws: UnixEndpoint.Failure.noFolder(lab.path("no/folder"))) {
                try lab.port(.vde, lab.path("no/folder"))
            }
        }
    }

    @Test("lets in whom it is told to")
    func permissions() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            let port = try lab.port(
                .vde, folder, access: UnixEndpoint.Access(group: getgid(), permissions: 0o660))
            var status = stat()
            #expect(stat(folder, &status) == 0 && status.st_mode & 0o7777 == 0o2770)
            #expect(stat(folder + "/ctl", &status) == 0 && status.st_mode & 0o7777 == 0o660)
            let plug = try Plug(folder)
            let path = try #require(plug.path)
            #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o660)
            _ = port
        }
    }

    @Test(
        "does without a plug that asks for what cannot be, and says why",
        arguments: [
            ([UInt8](repeating: 0, count: 122), "does not speak VDE's protocol"),
            ([0xCE, 0xFA, 0xED, 0xFE, 2, 0, 0, 0], "speaks version 2 of VDE's protocol, not 3"),
            (
                [0xCE, 0xFA, 0xED, 0xFE, 3, 0, 0, 0, 9] + [UInt8](repeating: 0, count: 113),
                "made a request of kind 9, which is unknown"
            ),
            (
                [0xCE, 0xFA, 0xED, 0xFE, 3] + [UInt8](repeating: 0, count: 117),
                "named no absolute path where it receives"
            ),
            (
                [0xCE, 0xFA, 0xED, 0xFE, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x2F, 0x78]
                    + [UInt8](repeating: 0, count: 106),
                "named '/x', which cannot be reached: No such file or directory"
            ),
            (
                [0xCE, 0xFA, 0xED, 0xFE, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x2F]
                    + [UInt8](repeating: 0, count: 107), "named '/', which is no socket"
            ),
            ([0xCE, 0xFA], "left without a request"),
        ] as [([UInt8], String)])
    func malformed(bytes: [UInt8], clause: String) throws {
        try SocketLab.with { lab in
            let port = try lab.port(.vde, lab.path("vde"))
            let peer = try SocketPeer.connect(.stream, lab.path("vde/ctl"))
            // In pieces: what is missing is waited for.
            for byte in bytes {
                peer.send([byte])
                if bytes.count < 10 { usleep(2000) }
            }
            if bytes.count == 2 { shutdown(peer.descriptor, Int32(SHUT_WR)) }
            #expect(peer.hasEnded())
            lab.settle(port) { $0.sentence.hasSuffix(clause) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: lab.path("vde")) == ["ctl"])
            let plug = try Plug(lab.path("vde"))
            try plug.plugIn()
        }
    }

    @Test("is a plug of another switch, and again when that comes back")
    func client() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            let port = try lab.port(.vde, folder, isServer: false)
            for round in 0..<2 {
                // Another port of ours is the switch.
                let other = try lab.port(.vde, folder)
                lab.connect(port)
                lab.connect(other)
                let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
                #expect(files.count == 2 && files[0].hasPrefix("001.") && files[1] == "ctl")
                let frames = (0..<100).map { NumberedFrame.make($0 + round, byteCount: 1514) }
                #expect(lab.transmit(Array(frames[..<50]), to: port).allSatisfy { $0 == .none })
                lab.expect(Array(frames[..<50]), from: other)
                #expect(lab.transmit(Array(frames[50...]), to: other).allSatisfy { $0 == .none })
                lab.expect(Array(frames[50...]), from: port)
                other.close()
                lab.settle(port) { !$0.isConnected }
            }
            port.close()
            #expect(lab.files == [])
        }
    }
}

@Suite(
    "VDE's own tools", .serialized,
    .enabled(if: ExternalTool.isAvailable("vde_plug", package: "vde2")))
struct SocketVDEToolTests {
    /// A program with pipes for its standard input and output.
    private final class Piped {
        private let process = Process()
        let input = Pipe()
        let output = Pipe()

        init(_ name: String, _ arguments: [String]) throws {
            process.executableURL = URL(fileURLWithPath: try ExternalTool(name).path)
            process.arguments = arguments
            process.standardInput = input
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try ExternalTool.withNoSignalBlocked { try process.run() }
        }

        var processID: Int32 { process.processIdentifier }

        func endsByItself() {
            let deadline = Date(timeIntervalSinceNow: 5)
            while process.isRunning, Date() < deadline { usleep(1000) }
            #expect(!process.isRunning)
        }

        func end() {
            if process.isRunning { process.terminate() }
            process.waitUntilExit()
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    }

    /// As vde_plug carries frames in a stream: behind two bytes of length.
    private func encode(_ frame: [UInt8]) -> [UInt8] {
        [UInt8(frame.count >> 8), UInt8(frame.count & 0xFF)] + frame
    }

    private func exchange(_ lab: SocketLab, _ port: UnixSocketPort, with plug: Piped) throws {
        let frames = [60, 1514, 64, 900].map { NumberedFrame.make($0, byteCount: $0) }
        plug.input.fileHandleForWriting.write(Data(frames.flatMap(encode)))
        lab.expect(frames, from: port)
        #expect(lab.transmit(frames, to: port) == frames.map { _ in .none })
        let expected = frames.flatMap(encode)
        let stream = SocketPeer(dup(plug.output.fileHandleForReading.fileDescriptor))
        var bytes: [UInt8] = []
        while bytes.count < expected.count, stream.waitReadable() {
            var room = [UInt8](repeating: 0, count: 65_536)
            let count = read(stream.descriptor, &room, room.count)
            guard count > 0 else { break }
            bytes += room.prefix(count)
        }
        #expect(bytes == expected)
    }

    @Test("plug into the port, leave and come back")
    func plug() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            let port = try lab.port(.vde, folder)
            for _ in 0..<2 {
                let plug = try Piped("vde_plug", ["vde://" + folder])
                lab.connect(port)
                #expect(port.peerState.sentence == "connected (vde, pid \(plug.processID))")
                try exchange(lab, port, with: plug)
                // A second one ends at once.
                let second = try Piped("vde_plug", ["vde://" + folder])
                lab.settle(port) { $0.sentence.contains("pid \(second.processID) was refused") }
                second.endsByItself()
                plug.end()
                lab.settle(port) { !$0.isConnected }
            }
            port.close()
            #expect(lab.files == [])
        }
    }

    @Test(
        "plug in as another user, if that one may",
        .enabled(if: getuid() == 0 && ExternalTool.isAvailable("setpriv", package: "util-linux")))
    func otherUser() throws {
        try SocketLab.with { lab in
            let nobody: UInt32 = 65_534
            try #require(chmod(lab.directory.path, 0o711) == 0)
            for user in [nil, nobody] {
                let folder = lab.path("vde")
                let port = try lab.port(.vde, folder, access: UnixEndpoint.Access(user: user))
                let plug = try Piped(
                    "setpriv",
                    ["--reuid=\(nobody)", "--clear-groups", "vde_plug", "vde://" + folder])
                if user == nil {
                    usleep(300_000)
                    #expect(!port.peerState.isConnected)
                } else {
                    lab.connect(port)
                    try exchange(lab, port, with: plug)
                }
                plug.end()
                port.close()
                #expect(lab.files == [])
            }
        }
    }

    @Test("wish for a port by its number")
    func number() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            let port = try lab.port(.vde, folder)
            let plug = try Piped("vde_plug", ["vde://\(folder)[7]"])
            lab.connect(port)
            let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(files.contains { $0.hasPrefix("007.") }, "\(files)")
            plug.end()
        }
    }

    @Test(
        "carry frames between a port that is a plug of vde_switch and another plug",
        .enabled(if: ExternalTool.isAvailable("vde_switch", package: "vde2")))
    func client() throws {
        try SocketLab.with { lab in
            let folder = lab.path("vde")
            let port = try lab.port(.vde, folder, isServer: false)
            let vde = try Piped("vde_switch", ["-hub", "-s", folder])
            lab.connect(port)
            #expect(port.peerState.sentence == "connected (vde, pid \(vde.processID))")
            let plug = try Piped("vde_plug", ["vde://" + folder])
            // Three files when it has plugged in: ctl, and a socket for each port.
            try lab.serve(port) { _ in
                try FileManager.default.contentsOfDirectory(atPath: folder)
                    .filter { !$0.hasPrefix(".") }.count == 3
            }
            try exchange(lab, port, with: plug)
            vde.end()
            lab.settle(port) { !$0.isConnected }
            plug.end()
        }
    }
}
