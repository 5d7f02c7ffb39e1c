import CLinux
import Glibc
import Synchronization

@testable import Ports

/// A front-end on a real socket, which says what it is told to and waits for answers.
final class VhostTestFrontEnd {
    let descriptor: Int32

    /// Takes the other end of a connection.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        // What the endpoint made does not block.
        let flags = clinux_fcntl_value(descriptor, F_GETFL, 0)
        _ = clinux_fcntl_value(descriptor, F_SETFL, Int(flags & ~O_NONBLOCK))
    }

    /// Connects to a port that listens.
    convenience init?(path: String) {
        guard let descriptor = try? UnixEndpoint.connect(.stream, path) else { return nil }
        self.init(descriptor)
    }

    deinit { close(descriptor) }

    /// Sends bytes, with descriptors as one control message.
    @discardableResult
    func send(_ bytes: [UInt8], _ descriptors: [Int32] = []) -> Bool {
        let room = descriptors.isEmpty ? 0 : clinux_cmsg_space(4 * descriptors.count)
        return bytes.withUnsafeBytes { bytes in
            var piece = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                iov_len: bytes.count)
            return withUnsafeTemporaryAllocation(byteCount: room, alignment: 8) { control in
                withUnsafeMutablePointer(to: &piece) { piece in
                    var message = msghdr()
                    message.msg_iov = piece
                    message.msg_iovlen = 1
                    if room > 0 {
                        control.initializeMemory(as: UInt8.self, repeating: 0)
                        message.msg_control = control.baseAddress
                        message.msg_controllen = room
                        let header = clinux_cmsg_first(&message)!
                        header.pointee.cmsg_level = SOL_SOCKET
                        header.pointee.cmsg_type = Int32(SCM_RIGHTS)
                        header.pointee.cmsg_len = clinux_cmsg_len(4 * descriptors.count)
                        let data = UnsafeMutableRawPointer(clinux_cmsg_data(header)!)
                        for (place, descriptor) in descriptors.enumerated() {
                            data.storeBytes(of: descriptor, toByteOffset: 4 * place, as: Int32.self)
                        }
                    }
                    return sendmsg(self.descriptor, &message, Int32(MSG_NOSIGNAL)) == bytes.count
                }
            }
        }
    }

    func say(
        _ request: VhostRequest, _ payload: [UInt8] = [], _ descriptors: [Int32] = [],
        needReply: Bool = false
    ) {
        send(
            VhostTestMessage.bytes(request, payload, flags: needReply ? 9 : 1), descriptors)
    }

    /// Asks, and returns the answer's payload; nil when the connection ends instead.
    func ask(
        _ request: VhostRequest, _ payload: [UInt8] = [], _ descriptors: [Int32] = [],
        needReply: Bool = false
    ) -> [UInt8]? {
        say(request, payload, descriptors, needReply: needReply)
        guard let header = read(12) else { return nil }
        let (answered, flags, byteCount) = header.withUnsafeBytes {
            (
                $0.load(as: UInt32.self), $0.load(fromByteOffset: 4, as: UInt32.self),
                $0.load(fromByteOffset: 8, as: UInt32.self)
            )
        }
        guard answered == request.rawValue, flags == 5 else { return nil }
        return read(Int(byteCount))
    }

    /// Says something that has no answer, and waits until it is served.
    func sayAndWait(
        _ request: VhostRequest, _ payload: [UInt8] = [], _ descriptors: [Int32] = []
    ) -> Bool {
        ask(request, payload, descriptors, needReply: true) == VhostTestMessage.long(0)
    }

    /// Exactly so many bytes; nil when the connection ends, or nothing comes for ten seconds.
    func read(_ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var piece = [UInt8](repeating: 0, count: count - bytes.count)
            let got = recv(descriptor, &piece, piece.count, 0)
            guard got > 0 else { return nil }
            bytes += piece[..<got]
        }
        return bytes
    }

    /// Whether the other side closes the connection within ten seconds without another word.
    var isClosed: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, 0)
        // A connection that was closed with bytes unread is reset.
        return count == 0 || (count < 0 && errno == ECONNRESET)
    }

    /// Whether the other side closes the connection within ten seconds, whatever it says before.
    var isParted: Bool {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            guard count <= 0 else { continue }
            return count == 0 || errno == ECONNRESET
        }
    }
}

/// A file of memory, as front-ends share it.
final class VhostTestFile {
    let descriptor: Int32
    let byteCount: Int
    private static let count = Mutex(0)

    init(byteCount: Int) {
        self.byteCount = byteCount
        // A name of its own, to be counted by.
        let number = VhostTestFile.count.withLock { count in
            count += 1
            return count
        }
        descriptor = memfd_create("test-guest-\(number)", UInt32(MFD_CLOEXEC))
        ftruncate(descriptor, byteCount)
    }

    deinit { close(descriptor) }

    func cut(to byteCount: Int) { ftruncate(descriptor, byteCount) }

    /// Reads through the file, not through a mapping.
    func byte(at offset: Int) -> UInt8? {
        var byte: UInt8 = 0
        return pread(descriptor, &byte, 1, offset) == 1 ? byte : nil
    }
}

/// How many descriptors of this process are of the same file or eventfd as one of them.
func openCount(of descriptor: Int32) -> Int {
    func identity(_ name: String) -> String {
        var link = [CChar](repeating: 0, count: 256)
        guard readlink("/proc/self/fd/\(name)", &link, 255) > 0 else { return "" }
        var text = link.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        // All eventfds have one name, and a number of their own.
        guard text == "anon_inode:[eventfd]", let file = fopen("/proc/self/fdinfo/\(name)", "r")
        else { return text }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, 256, file) != nil {
            let field = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            if field.hasPrefix("eventfd-id") { text += field }
        }
        return text
    }
    guard let folder = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(folder) }
    let wanted = identity("\(descriptor)")
    var count = 0
    while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != "..", identity(name) == wanted { count += 1 }
    }
    return count
}
