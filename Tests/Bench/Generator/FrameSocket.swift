import CLinux
import Glibc

/// A packet socket that receives one kind of test frame, a frame to a call.
final class FrameSocket {
    let socket: Int32
    let buffer = UnsafeMutableRawPointer.allocate(
        byteCount: TestFrame.maximumSize, alignment: 64)

    /// Opens it in the calling thread's network namespace.
    init(index: Int32, run: UInt32, kind: TestFrame.Kind) throws(GeneratorError) {
        socket = try check(
            Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0),
            "open a packet socket")
        try TestFrame.receive(
            on: socket, index: index, run: run, kind: kind, copying: UInt32(TestFrame.maximumSize))
    }

    deinit {
        close(socket)
        buffer.deallocate()
    }

    /// Puts the next frame into `buffer` and returns its size; nil when there is none now.
    @inline(__always)
    func receive() throws(GeneratorError) -> Int? {
        let byteCount = recv(
            socket, buffer, TestFrame.maximumSize, Int32(MSG_DONTWAIT))
        if byteCount >= 0 { return byteCount }
        guard errno == EAGAIN || errno == EINTR else {
            throw .system(operation: "receive a frame", errno: errno)
        }
        return nil
    }

    /// Sleeps until a frame is there, or a monotonic time has come.
    func sleep(until time: UInt64) {
        let now = Clock.now()
        guard time > now else { return }
        var timeout = timespec(
            tv_sec: Int((time - now) / 1_000_000_000), tv_nsec: Int((time - now) % 1_000_000_000))
        var set = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        ppoll(&set, 1, &timeout, nil)
    }
}
