import CLinux
import Glibc
import SystemPackage
import Testing

@testable import Control

@Suite("A socket that passes descriptors")
struct SystemSocketTests {
    private func message(
        _ reception: SeqpacketSocket.Reception
    ) throws -> SeqpacketSocket.Message {
        guard case .message(let message) = reception else {
            throw SystemError("receive, got \(reception)", .invalidArgument)
        }
        return message
    }

    /// A pipe that no other test's child inherits.
    private func pipe() throws -> (FileDescriptor, FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        try check(pipe2(&ends, O_CLOEXEC), "make a pipe")
        return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
    }

    @Test("keeps the boundaries of messages, and hands over what they carry")
    func passing() throws {
        let (left, right) = try SeqpacketSocket.pair()
        let (reader, writer) = try pipe()
        defer { try? reader.close() }
        #expect(try left.send(Array("first".utf8), descriptors: [writer]))
        #expect(try left.send(Array("second".utf8)))
        try writer.close()

        let first = try message(right.receive())
        #expect(first.bytes == Array("first".utf8))
        let passed = try #require(first.descriptors.first)
        #expect(first.descriptors.count == 1)
        #expect(clinux_fcntl_value(passed.rawValue, F_GETFD, 0) & FD_CLOEXEC != 0)
        try passed.writeAll("through".utf8)
        try passed.close()
        var bytes = [UInt8](repeating: 0, count: 16)
        let byteCount = try bytes.withUnsafeMutableBytes { try reader.read(into: $0) }
        #expect(bytes[..<byteCount] == ArraySlice("through".utf8))

        let second = try message(right.receive())
        #expect(second.bytes == Array("second".utf8))
        #expect(second.descriptors.isEmpty)
    }

    @Test("tells would-block from the end")
    func ends() throws {
        var (left, right): (SeqpacketSocket?, SeqpacketSocket) = try SeqpacketSocket.pair()
        try right.setNonBlocking(true)
        guard case .wouldBlock = try right.receive() else {
            Issue.record("something was received")
            return
        }
        var sent = 0
        while try right.send([UInt8](repeating: 1, count: 8192)) { sent += 1 }
        #expect(sent > 0, "a full socket would block, too")
        left = nil
        guard case .closed = try right.receive() else {
            Issue.record("the end was not seen")
            return
        }
        #expect(left == nil)
        #expect(throws: SystemError.self) { try right.send([1]) }
    }

    @Test("refuses what does not fit, and leaks none of its descriptors")
    func truncation() throws {
        let (left, right) = try SeqpacketSocket.pair()
        let (reader, writer) = try pipe()
        defer { try? reader.close() }
        try left.send([UInt8](repeating: 1, count: 100), descriptors: [writer])
        try left.send([1], descriptors: [writer, writer])
        try writer.close()
        #expect(throws: SystemError.self) { try right.receive(upTo: 10) }
        #expect(throws: SystemError.self) { try right.receive(descriptors: 0) }
        // All writers are closed, hence the pipe is at its end.
        var bytes = [UInt8](repeating: 0, count: 1)
        #expect(try bytes.withUnsafeMutableBytes { try reader.read(into: $0) } == 0)
    }

    @Test("listens at a path, takes a dead one's place, and knows its peer")
    func listening() throws {
        let path = "/tmp/heddle-socket-\(getpid())"
        defer { unlink(path) }
        do { _ = try SeqpacketSocket.listen(at: path) }
        let listener = try SeqpacketSocket.listen(at: path)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let client = try SeqpacketSocket.connect(to: path)
        let server = try #require(try listener.accept())
        #expect(
            try server.peerCredentials
                == .init(process: getpid(), user: geteuid(), group: getegid()))
        try client.send([7])
        #expect(try message(server.receive()).bytes == [7])
        try listener.setNonBlocking(true)
        #expect(try listener.accept() == nil)
    }

    @Test("does not take a file for a socket, nor a path that is too long")
    func badPaths() throws {
        #expect {
            try SeqpacketSocket.listen(at: "/tmp/" + String(repeating: "x", count: 103))
        } throws: {
            "\($0)".contains("at most 107 bytes")
        }
        let path = "/tmp/heddle-file-\(getpid())"
        close(clinux_open_mode(path, O_CREAT | O_WRONLY, 0o600))
        defer { unlink(path) }
        #expect(throws: SystemError.self) { try SeqpacketSocket.listen(at: path) }
        #expect(access(path, F_OK) == 0, "somebody's file is left alone")
        #expect {
            try SeqpacketSocket.connect(to: "/tmp/heddle-nobody")
        } throws: {
            "\($0)".contains("heddle run")
        }
    }
}
