import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Capture

@Suite("Capture files of a port")
struct PcapFileTests {
    @Test("what the writer wrote, the reader reads, to the nanosecond", arguments: 0..<5)
    func roundTrip(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let frames = (0..<500).map { _ in
            Frame(
                stamp: UInt64.random(in: 0..<4_000_000_000_000_000_000, using: &random),
                original: UInt32.random(in: 2_000...70_000, using: &random),
                bytes: (0..<Int.random(in: 0...2_000, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                })
        }
        try TemporaryDirectory.with { directory in
            let path = directory.path("frames.pcap")
            var writer = try PcapFileWriter(path: path)
            for frame in frames { try writer.append(frame) }
            try writer.flush()
            #expect(writer.frameCount == 500)
            #expect(try frames == read(path))
        }
    }

    @Test("the writer writes what is left when it goes, and its header at once")
    func deinitialisation() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("frames.pcap")
            let frame = Frame(stamp: 1_500_000_007, original: 3, bytes: [1, 2, 3])
            try {
                var writer = try PcapFileWriter(path: path)
                let header = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
                #expect(
                    header
                        == octets(
                            "4d3cb2a1 0200 0400",  // magic for nanoseconds, version 2.4
                            "0000000000000000 00000400 01000000"))  // snap length, Ethernet
                try writer.append(frame)
            }()
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            #expect(
                bytes[24...]
                    == octets("01000000 0765cd1d 03000000 03000000 010203")[...])
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
            #expect(mode as? Int == 0o600)
        }
    }

    @Test("reads pcapng, and says how much of a frame did not fit")
    func pcapng() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("frames.pcapng")
            var file: [UInt8] = []
            PcapngWriter.append(PcapngSection(), to: &file)
            PcapngWriter.append(PcapngInterface(name: "a"), to: &file)
            let stamp: UInt64 = 1_700_000_000_123_456_789
            [UInt8](0..<100).withUnsafeBytes {
                let packet = PcapngPacket(
                    interfaceID: 0, timestampNanoseconds: stamp, originalByteCount: 1_500)
                PcapngWriter.append(packet, bytes: $0, to: &file)
            }
            try Data(file).write(to: URL(fileURLWithPath: path))
            var reader = try PcapReader(path: path)
            var buffer = [UInt8](repeating: 0, count: 64)
            let frame = try buffer.withUnsafeMutableBytes { bytes throws in
                try reader.next(into: bytes)
            }
            #expect(
                frame
                    == PcapReader.Frame(
                        timestampNanoseconds: stamp, originalByteCount: 1_500,
                        capturedByteCount: 100, byteCount: 64))
            #expect(buffer == [UInt8](0..<64))
        }
    }

    @Test(
        "refuses what is not an Ethernet capture, naming the file",
        arguments: [
            ([], "truncated"),  // empty
            (Array("heddle: 1\n".utf8), "unknown file format"),  // a text file
            ([UInt8](repeating: 0x5A, count: 4_096), "unknown file format"),  // binary junk
            (octets("4d3cb2a1 0200"), "truncated"),  // header cut off
            (octets("4d3cb2a1 0200 0400 0000000000000000 00000400 71000000"), "LINUX_SLL"),
        ])
    func refusal(content: [UInt8], excerpt: String) throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("bad.pcap")
            try Data(content).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: PcapFileError.self) { _ = try PcapReader(path: path) }
            let description = String(describing: try #require(error))
            #expect(description.contains(excerpt), "\(description)")
            #expect(description.contains(path))
        }
    }

    @Test("says why a file cannot be opened")
    func cannotOpen() {
        #expect(throws: PcapFileError.cannotOpen(path: "/nonexistent/a", .noSuchFileOrDirectory)) {
            _ = try PcapReader(path: "/nonexistent/a")
        }
        #expect(throws: PcapFileError.cannotOpen(path: "/nonexistent/a", .noSuchFileOrDirectory)) {
            _ = try PcapFileWriter(path: "/nonexistent/a")
        }
        #expect(throws: PcapFileError.cannotOpen(path: "/", .isDirectory)) {
            _ = try PcapFileWriter(path: "/")
        }
        #expect(throws: PcapFileError.self) { _ = try PcapReader(path: "/") }
    }

    @Test("says how to write into a pipe that nobody reads, where the writer must not wait")
    func notRead() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("pipe")
            try #require(mkfifo(path, 0o600) == 0)
            let error = #expect(throws: PcapFileError.notRead(path: path)) {
                _ = try PcapFileWriter(path: path, isBlocking: false)
            }
            let description = String(describing: try #require(error))
            #expect(description.contains("start its reader first"))
            #expect(description.contains(path))
        }
    }

    @Test("reads up to the damage and says after which frame it is")
    func damaged() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("cut.pcap")
            var writer = try PcapFileWriter(path: path)
            for stamp in 1...3 {
                try writer.append(
                    Frame(stamp: UInt64(stamp), original: 60, bytes: .init(repeating: 1, count: 60))
                )
            }
            try writer.flush()
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            try whole.dropLast(10).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: PcapFileError.self) { _ = try read(path) }
            guard case .damaged(_, frames: 2, _)? = error else {
                Issue.record("unexpected: \(String(describing: error))")
                return
            }
        }
    }

    @Test("never faults on a file whose every byte may be wrong", arguments: 0..<50)
    func mutated(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        try TemporaryDirectory.with { directory in
            let path = directory.path("mutated.pcap")
            var writer = try PcapFileWriter(path: path)
            for _ in 0..<5 {
                try writer.append(
                    Frame(stamp: random.next(), original: 60, bytes: .init(repeating: 1, count: 60))
                )
            }
            try writer.flush()
            var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            for _ in 0..<8 {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            do {
                let frames = try read(path)
                #expect(frames.allSatisfy { $0.bytes.count <= 2_048 })
            } catch is PcapFileError {}
        }
    }

    @Test("a full disk is an error, the writer survives it and does not grow")
    func fullDisk() throws {
        #expect(throws: PcapFileError.cannotWrite(path: "/dev/full", .noSpace)) {
            _ = try PcapFileWriter(path: "/dev/full")
        }
        try TemporaryDirectory.with { directory in
            // A pipe that nobody empties is a disk of 64 KiB which can be given room again.
            let path = directory.path("pipe")
            try #require(mkfifo(path, 0o600) == 0)
            let reader = try FileDescriptor.open(
                FilePath(path), .readOnly, options: .nonBlocking)
            defer { try? reader.close() }
            var writer = try PcapFileWriter(path: path, isBlocking: false)
            let frame = Frame(stamp: 1, original: 1_000, bytes: .init(repeating: 9, count: 1_000))
            var accepted = 0
            #expect(throws: PcapFileError.cannotWrite(path: path, .resourceTemporarilyUnavailable))
            {
                while accepted < 1_000 {
                    try writer.append(frame)
                    accepted += 1
                }
            }
            for _ in 0..<1_000 { #expect(throws: PcapFileError.self) { try writer.append(frame) } }
            #expect(writer.frameCount == UInt64(accepted))

            var content: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let byteCount = (try? buffer.withUnsafeMutableBytes { try reader.read(into: $0) })
                content += buffer[..<(byteCount ?? 0)]
                do {
                    try writer.flush()
                } catch { continue }
                if byteCount == nil { break }
            }
            #expect(content.count == 24 + accepted * 1_016)  // every frame whole, none twice
        }
    }

    fileprivate struct Frame: Equatable {
        var stamp: UInt64
        var original: UInt32
        var bytes: [UInt8]
    }

    private func read(_ path: String) throws -> [Frame] {
        var reader = try PcapReader(path: path)
        var buffer = [UInt8](repeating: 0, count: 2_048)
        var frames: [Frame] = []
        while let frame = try buffer.withUnsafeMutableBytes({ try reader.next(into: $0) }) {
            frames.append(
                Frame(
                    stamp: frame.timestampNanoseconds, original: frame.originalByteCount,
                    bytes: Array(buffer[..<frame.byteCount])))
        }
        #expect(reader.frameCount == UInt64(frames.count))
        return frames
    }
}

extension PcapFileWriter {
    fileprivate mutating func append(_ frame: PcapFileTests.Frame) throws {
        try frame.bytes.withUnsafeBytes { bytes in
            try append(bytes, originalByteCount: frame.original, timestampNanoseconds: frame.stamp)
        }
    }
}
