import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A port on capture files")
struct PcapPortTests {
    /// Sends `count` copies of a frame of 1,000 bytes; how each went.
    private func send(_ count: Int, to port: PcapPort) -> [DropReason] {
        let frame = UnsafeMutableRawPointer.allocate(byteCount: 1_012, alignment: 16)
        frame.initializeMemory(as: UInt8.self, repeating: 7, count: 1_012)
        defer { frame.deallocate() }
        var entries = [TransmitEntry](
            repeating: TransmitEntry(
                head: frame, headByteCount: SlotSize.vnetHeader + 1_000, body: frame,
                bodyByteCount: 0, outcome: .none),
            count: count)
        entries.withUnsafeMutableBufferPointer { port.transmit($0) }
        return entries.map(\.outcome)
    }

    @Test("drops as 'egress-full' what a pipe whose reader has stopped does not take, and goes on")
    func stoppedReader() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("pipe")
            try #require(mkfifo(path, 0o600) == 0)
            let reader = try FileDescriptor.open(FilePath(path), .readOnly, options: .nonBlocking)
            defer { try? reader.close() }
            let port = try PcapPort(reading: nil, writing: path)
            // Twice the pipe and the buffer before it; a transmit that waited would not return.
            let outcomes = (0..<8).flatMap { _ in send(32, to: port) }
            #expect(outcomes.first == DropReason.none)
            #expect(outcomes.last == .egressFull)
            #expect(outcomes.allSatisfy { $0 == .none || $0 == .egressFull })

            var buffer = [UInt8](repeating: 0, count: 65_536)
            _ = try buffer.withUnsafeMutableBytes { try reader.read(into: $0) }
            #expect(send(1, to: port) == [.none], "its reader is back")
        }
    }
}
