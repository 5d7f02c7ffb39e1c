import CLinux
import Foundation
import TestSupport
import Testing

@testable import Ports

@Suite("A unix socket's path")
struct UnixEndpointTests {
    private static let kinds: [UnixEndpoint.Kind] = [.stream, .datagram, .sequencedPacket]
    private let own = UnixEndpoint.Access()

    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    @Test("is bound with the user's own permissions, and closed on exec", arguments: kinds)
    func binding(kind: UnixEndpoint.Kind) throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("s")
            let descriptor = try UnixEndpoint.bind(kind, path, access: own)
            defer { close(descriptor) }
            #expect(mode(path) == 0o600)
            #expect(clinux_fcntl_value(descriptor, F_GETFD, 0) & FD_CLOEXEC != 0)
            #expect(clinux_fcntl_value(descriptor, F_GETFL, 0) & O_NONBLOCK != 0)
        }
    }

    @Test("has the permissions and the owner that are asked for")
    func access() throws {
        try TemporaryDirectory.with { directory in
            let rows: [(UnixEndpoint.Access, mode_t)] = [
                (UnixEndpoint.Access(permissions: 0o666), 0o666),
                (UnixEndpoint.Access(group: getgid()), 0o660),
                (UnixEndpoint.Access(group: getgid(), permissions: 0o620), 0o620),
            ]
            for (place, row) in rows.enumerated() {
                let path = directory.path("s\(place)")
                close(try UnixEndpoint.bind(.stream, path, access: row.0))
                #expect(mode(path) == row.1)
            }
            guard getuid() == 0 else { return }
            let path = directory.path("other")
            close(
                try UnixEndpoint.bind(
                    .stream, path, access: UnixEndpoint.Access(user: 12_345, group: 54_321)))
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(status.st_uid == 12_345 && status.st_gid == 54_321)
        }
    }

    @Test(
        "does not stay behind when the owner cannot be changed",
        .enabled(if: getuid() != 0, "root may give a file to anybody"))
    func failedOwner() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("s")
            #expect(throws: UnixEndpoint.Failure.self) {
                try UnixEndpoint.bind(.stream, path, access: UnixEndpoint.Access(user: 0))
            }
            #expect(mode(path) == nil)
        }
    }

    @Test("is taken over from a process that died", arguments: kinds, kinds)
    func stale(old: UnixEndpoint.Kind, new: UnixEndpoint.Kind) throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("s")
            close(try UnixEndpoint.bind(old, path, access: own))
            #expect(mode(path) != nil, "a file is left")
            close(try UnixEndpoint.bind(new, path, access: own))
        }
    }

    @Test(
        "is refused while somebody has it, whatever kind of socket that is", arguments: kinds, kinds
    )
    func inUse(old: UnixEndpoint.Kind, new: UnixEndpoint.Kind) throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("s")
            let first = try UnixEndpoint.bind(old, path, access: own)
            defer { close(first) }
            #expect(throws: UnixEndpoint.Failure.inUse(path)) {
                try UnixEndpoint.bind(new, path, access: own)
            }
            #expect(mode(path) == 0o600, "and is left to them")
        }
    }

    @Test("is refused when it is a file, a link, a folder, too long, or in no folder")
    func unusable() throws {
        try TemporaryDirectory.with { directory in
            let file = directory.path("file")
            _ = FileManager.default.createFile(atPath: file, contents: Data("precious".utf8))
            #expect(throws: UnixEndpoint.Failure.notASocket(file)) {
                try UnixEndpoint.bind(.stream, file, access: own)
            }
            #expect(FileManager.default.contents(atPath: file) == Data("precious".utf8))
            let link = directory.path("link")
            symlink(directory.path("nowhere"), link)
            #expect(throws: UnixEndpoint.Failure.notASocket(link)) {
                try UnixEndpoint.bind(.stream, link, access: own)
            }
            #expect(throws: UnixEndpoint.Failure.notASocket(directory.path)) {
                try UnixEndpoint.bind(.stream, directory.path, access: own)
            }
            let nowhere = directory.path("no/folder")
            #expect(throws: UnixEndpoint.Failure.noFolder(nowhere)) {
                try UnixEndpoint.bind(.stream, nowhere, access: own)
            }
            let inFile = directory.path("file/socket")
            #expect(throws: UnixEndpoint.Failure.noFolder(inFile)) {
                try UnixEndpoint.bind(.stream, inFile, access: own)
            }
            let long = directory.path(String(repeating: "x", count: 108))
            #expect(throws: UnixEndpoint.Failure.tooLong(long)) {
                try UnixEndpoint.bind(.stream, long, access: own)
            }
        }
    }

    @Test("of 107 bytes is the longest")
    func longest() throws {
        try TemporaryDirectory.with { directory in
            let room = 107 - directory.path("").utf8.count
            let path = directory.path(String(repeating: "x", count: room))
            let listener = try UnixEndpoint.bind(.stream, path, access: own)
            defer { close(listener) }
            let peer = try #require(try UnixEndpoint.connect(.stream, path))
            close(peer)
        }
    }

    @Test("that nobody listens at is no error to connect to; one that cannot be reached is")
    func connecting() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("s")
            #expect(try UnixEndpoint.connect(.stream, path) == nil)
            let listener = try UnixEndpoint.bind(.stream, path, access: own)
            #expect(UnixEndpoint.accept(listener) == nil)
            let client = try #require(try UnixEndpoint.connect(.stream, path))
            let server = try #require(UnixEndpoint.accept(listener))
            #expect(!UnixEndpoint.hasHungUp(server))
            #expect(!UnixEndpoint.skip(server))
            write(client, "what it says", 12)
            #expect(!UnixEndpoint.skip(server))
            var byte: UInt8 = 0
            #expect(read(server, &byte, 1) == -1, "was read away")
            close(client)
            #expect(UnixEndpoint.hasHungUp(server))
            #expect(UnixEndpoint.skip(server))
            #expect(throws: UnixEndpoint.Failure.self, "another kind") {
                try UnixEndpoint.connect(.sequencedPacket, path)
            }
            // A full queue is like nobody.
            var queued: [Int32] = []
            while let peer = try UnixEndpoint.connect(.stream, path), queued.count < 100 {
                queued.append(peer)
            }
            #expect((16...18).contains(queued.count))
            for peer in queued { close(peer) }
            close(server)
            close(listener)
            #expect(try UnixEndpoint.connect(.stream, path) == nil, "only its file is left")
        }
    }

    @Test("is removed only while the file is the one that was bound")
    func removing() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("s")
            let first = try UnixEndpoint.bind(.stream, path, access: own)
            let file = try #require(SocketFile(path))
            rename(path, directory.path("moved"))
            let second = try UnixEndpoint.bind(.stream, path, access: own)
            file.remove()
            #expect(mode(path) != nil, "it is another's")
            SocketFile(path)?.remove()
            #expect(mode(path) == nil)
            #expect(SocketFile(path) == nil)
            file.remove()
            close(first)
            close(second)
        }
    }
}
