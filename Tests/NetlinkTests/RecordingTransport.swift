import Foundation
import Netlink
import SystemPackage

/// Plays the kernel: records what is sent, and answers with what the test scripted.
final class RecordingTransport: NetlinkTransport {
    private(set) var sent: [[UInt8]] = []
    /// The datagrams to come, or the errors that receiving them gives.
    var answers: [Result<[UInt8], Errno>]

    init(answers: [Result<[UInt8], Errno>] = []) {
        self.answers = answers
    }

    func send(_ bytes: [UInt8]) throws(Errno) {
        sent.append(bytes)
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        guard !answers.isEmpty else { throw .resourceTemporarilyUnavailable }
        let answer = try answers.removeFirst().get()
        buffer.copyBytes(from: answer)
        return answer.count
    }
}

/// Bytes from annotated hex: what follows `//` on a line is commentary.
func hex(_ text: String) -> [UInt8] {
    let digits = text.split(separator: "\n", omittingEmptySubsequences: false)
        .flatMap { line in (line.range(of: "//").map { line[..<$0.lowerBound] } ?? line) }
        .filter { !$0.isWhitespace }
    precondition(digits.count.isMultiple(of: 2))
    return stride(from: 0, to: digits.count, by: 2).map { index in
        UInt8(String(digits[index...(index + 1)]), radix: 16)!
    }
}

/// Hex with a line for each four bytes, so that a failed comparison is legible.
func dump(_ bytes: [UInt8]) -> String {
    bytes.enumerated().map { index, byte in
        let pair = String(byte, radix: 16)
        return (byte < 16 ? "0" : "") + pair + (index % 4 == 3 ? "\n" : " ")
    }.joined()
}
