import CLinux
import Glibc
import Wire

/// One TCP connection that carries a pattern in one direction, so that a byte lost, repeated or
/// changed is noticed, and the count of those that came right goes back in the other.
enum TCPStream {
    private static let chunk = 128 << 10

    /// Repeats after so many bytes.
    private static let period = 1 << 16
    /// Long enough for a chunk from any place in the first period.
    private static let pattern = (0..<period + chunk).map {
        UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8)
    }

    /// Connects within two seconds, sends, half-closes and waits for the count.
    static func send(
        to address: String, port: UInt16, byteCount: Int, bytesPerSecond: Int?
    ) throws {
        let target = try TestPeer.address(address, port: port)
        let socket = Glibc.socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var outcome = TestPeer.withAddress(target) { connect(socket, $0, $1) }
        if outcome != 0, errno == EINPROGRESS {
            var polled = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
            guard poll(&polled, 1, 2000) > 0 else {
                errno = ETIMEDOUT
                throw PacketSocket.Failure("connect to \(address)")
            }
            var length = socklen_t(4)
            getsockopt(socket, SOL_SOCKET, SO_ERROR, &outcome, &length)
            errno = outcome
        }
        guard outcome == 0 else { throw PacketSocket.Failure("connect to \(address)") }
        _ = clinux_fcntl_value(socket, F_SETFL, 0)
        TestPeer.print(#"{"ready":true}"#)
        let begin = TestPeer.now()
        var sent = 0
        let unit = bytesPerSecond.map { min(chunk, max(1, $0 / 100)) } ?? chunk
        while sent < byteCount {
            if let bytesPerSecond {
                let due = begin + Double(sent) / Double(bytesPerSecond)
                let wait = due - TestPeer.now()
                if wait > 0 { usleep(UInt32(wait * 1e6)) }
            }
            let count = pattern.withUnsafeBytes {
                write(
                    socket, $0.baseAddress! + sent % period, min(unit, byteCount - sent))
            }
            guard count > 0 else { throw PacketSocket.Failure("send to \(address)") }
            sent += count
        }
        shutdown(socket, Int32(SHUT_WR))
        var answer: UInt64 = 0
        guard read(socket, &answer, 8) == 8 else { throw PacketSocket.Failure("wait for the end") }
        let seconds = TestPeer.now() - begin
        TestPeer.print(#"{"sent":\#(sent),"acknowledged":\#(answer),"seconds":\#(seconds)}"#)
    }

    /// Takes connections one after the other until a signal.
    static func receive(port: UInt16) throws {
        let signals = TestPeer.endSignals()
        let listener = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        let own = try TestPeer.address("0.0.0.0", port: port)
        guard TestPeer.withAddress(own, { bind(listener, $0, $1) }) == 0,
            listen(listener, 16) == 0
        else { throw PacketSocket.Failure("listen on port \(port)") }
        TestPeer.print(#"{"ready":true}"#)
        while !TestPeer.isReadable(signals) {
            guard TestPeer.isReadable(listener, timeoutMilliseconds: 100) else { continue }
            let connection = clinux_accept(listener)
            guard connection >= 0 else { continue }
            var right: UInt64 = 0
            var offset = 0
            var buffer = [UInt8](repeating: 0, count: chunk)
            while !TestPeer.isReadable(signals) {
                guard TestPeer.isReadable(connection, timeoutMilliseconds: 100) else { continue }
                let count = read(connection, &buffer, buffer.count)
                guard count > 0 else { break }
                let isRight = pattern.withUnsafeBytes {
                    memcmp($0.baseAddress! + offset % period, buffer, count) == 0
                }
                if isRight { right += UInt64(count) }
                offset += count
            }
            _ = write(connection, &right, 8)
            close(connection)
            TestPeer.print(#"{"received":\#(offset),"right":\#(right)}"#)
        }
    }
}
