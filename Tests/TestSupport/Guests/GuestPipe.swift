import Foundation
import Glibc

/// Both directions of a guest's console or of QEMU's monitor, as a pair of named pipes: `PATH.in` goes to the
/// guest, `PATH.out` comes from it (what QEMU calls a pipe character device).
///
/// Pipes are there before the emulator is and lose nothing if the test looks later. They have 64 KiB:
/// who prints more than that has to be read meanwhile.
final class GuestPipe {
    let path: String
    private let input: Int32
    private let output: Int32
    /// All that came.
    private(set) var received: [UInt8] = []

    init(_ path: String) throws {
        self.path = path
        // For reading and writing, so that opening waits for nobody.
        func open(_ path: String) throws -> Int32 {
            guard mkfifo(path, 0o600) == 0 else {
                throw SystemCallFailure("make the pipe \(path)", errno: errno)
            }
            let descriptor = Glibc.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
            guard descriptor >= 0 else { throw SystemCallFailure("open \(path)", errno: errno) }
            return descriptor
        }
        input = try open(path + ".in")
        output = try open(path + ".out")
    }

    deinit {
        close(input)
        close(output)
    }

    /// Sends a line, which is shorter than a pipe.
    func send(_ line: String) throws {
        let bytes = Array((line + "\n").utf8)
        guard write(input, bytes, bytes.count) == bytes.count else {
            throw SystemCallFailure("write to \(path).in", errno: errno)
        }
    }

    /// Takes what is there, after waiting for at most so long for something.
    func take(milliseconds: Int32) {
        var polled = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, milliseconds) > 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(output, &buffer, buffer.count)
        if count > 0 { received += buffer[..<count] }
    }

    /// The place behind the first occurrence of a text from a place on.
    func end(of text: String, from start: Int) -> Int? {
        let wanted = Array(text.utf8)
        guard received.count >= start + wanted.count else { return nil }
        return (start...received.count - wanted.count).first {
            received[$0] == wanted[0] && received[$0..<$0 + wanted.count].elementsEqual(wanted)
        }.map { $0 + wanted.count }
    }

    func text(_ range: Range<Int>) -> String { String(decoding: received[range], as: UTF8.self) }
}
