// A Unix socket of type SEQPACKET: connected, ordered, and with message boundaries, so that open
// descriptors (SCM_RIGHTS) travel with the message that speaks of them. It carries what HTTP serves
// badly, next to the HTTP socket.
//
// A message is never empty, because a message of zero bytes cannot be told from the peer's end.
// Would-block is a value. One thread at a time in each direction; the object owns its descriptor.

import CLinux
import Glibc
import SystemPackage

package final class SeqpacketSocket: Sendable {
    package let descriptor: FileDescriptor

    package struct Message {
        package let bytes: [UInt8]
        /// The receiver's to close.
        package let descriptors: [FileDescriptor]
    }

    package enum Reception {
        case message(Message)
        case wouldBlock
        /// The peer has closed its end.
        case closed
    }

    /// Who is at the other end, as the kernel knows it from when the connection was made.
    package struct PeerCredentials: Equatable, Sendable {
        package let process: Int32
        package let user: UInt32
        package let group: UInt32
    }

    /// The kernel's limit of descriptors in a message (SCM_MAX_FD).
    package static let maximumDescriptorCount = 253

    /// Takes over a connected or a listening socket.
    package init(owning descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    deinit {
        try? descriptor.close()
    }

    /// Listens at a path, taking the place of a socket that an earlier process left there; the
    /// caller holds the `InstanceLock` that makes sure that none is alive.
    ///
    /// - Parameter mode: who may connect.
    package static func listen(
        at path: String, mode: mode_t = 0o600
    ) throws(SystemError) -> SeqpacketSocket {
        let socket = try make()
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
        try withAddress(path) { address, byteCount throws(SystemError) in
            try check(bind(socket.raw, address, byteCount), "bind the socket '\(path)'")
        }
        // Nobody gets in between: a socket refuses connections until it listens.
        try check(chmod(path, mode), "set the mode of the socket '\(path)'")
        try check(Glibc.listen(socket.raw, 16), "listen at '\(path)'")
        return socket
    }

    package static func connect(to path: String) throws(SystemError) -> SeqpacketSocket {
        let socket = try make()
        try withAddress(path) { address, byteCount throws(SystemError) in
            try check(
                Glibc.connect(socket.raw, address, byteCount), "connect to '\(path)'",
                remedy: "is 'heddle run' running, with the same --socket?")
        }
        return socket
    }

    /// Two connected sockets.
    package static func pair() throws(SystemError) -> (SeqpacketSocket, SeqpacketSocket) {
        var ends: [Int32] = [-1, -1]
        try check(socketpair(AF_UNIX, type, 0, &ends), "make a pair of sockets")
        return (
            SeqpacketSocket(owning: FileDescriptor(rawValue: ends[0])),
            SeqpacketSocket(owning: FileDescriptor(rawValue: ends[1]))
        )
    }

    /// Whether receiving, sending and accepting return instead of waiting.
    package func setNonBlocking(_ isOn: Bool) throws(SystemError) {
        let flags = try check(clinux_fcntl_value(raw, F_GETFL, 0), "read the socket's flags")
        let changed = isOn ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        try check(clinux_fcntl_value(raw, F_SETFL, Int(changed)), "set the socket's flags")
    }

    /// Asks for room for messages that were sent and not received yet.
    ///
    /// - Returns: the bytes that there are, the kernel's own included; one message may take all of them.
    package func reserve(sending byteCount: Int) throws(SystemError) -> Int {
        var value = Int32(clamping: byteCount)
        var length = socklen_t(MemoryLayout<Int32>.size)
        // Beyond what the system allows to everybody, if we may.
        if setsockopt(raw, SOL_SOCKET, SO_SNDBUFFORCE, &value, length) != 0 {
            try check(
                setsockopt(raw, SOL_SOCKET, SO_SNDBUF, &value, length), "size the socket's buffer")
        }
        try check(
            getsockopt(raw, SOL_SOCKET, SO_SNDBUF, &value, &length), "read the buffer's size")
        return Int(value)
    }

    /// The next connection to a listening socket, or nil when there is none and it does not wait.
    package func accept() throws(SystemError) -> SeqpacketSocket? {
        while true {
            let connection = clinux_accept(raw)
            if connection >= 0 {
                return SeqpacketSocket(owning: FileDescriptor(rawValue: connection))
            }
            switch Errno.current {
            case .interrupted, .connectionAbort: continue
            case .wouldBlock: return nil
            case let errno: throw SystemError("accept a connection", errno)
            }
        }
    }

    package var peerCredentials: PeerCredentials {
        get throws(SystemError) {
            var credentials = ucred()
            var byteCount = socklen_t(MemoryLayout<ucred>.size)
            try check(
                getsockopt(raw, SOL_SOCKET, SO_PEERCRED, &credentials, &byteCount),
                "tell who the peer is")
            return PeerCredentials(
                process: credentials.pid, user: credentials.uid, group: credentials.gid)
        }
    }

    /// Sends one message; false when it would block.
    ///
    /// - Parameter descriptors: the peer gets duplicates; these stay the sender's.
    @discardableResult
    package func send(
        _ bytes: [UInt8], descriptors: [FileDescriptor] = []
    ) throws(SystemError) -> Bool {
        precondition(!bytes.isEmpty, "an empty message looks like the end of the connection")
        precondition(descriptors.count <= Self.maximumDescriptorCount)
        var bytes = bytes
        let numbers = descriptors.map(\.rawValue)
        while true {
            let (sent, errno) = Self.withMessage(&bytes, descriptorCapacity: numbers.count) {
                message in
                if let header = clinux_cmsg_first(&message) {
                    let byteCount = numbers.count * MemoryLayout<Int32>.size
                    header.pointee.cmsg_level = SOL_SOCKET
                    header.pointee.cmsg_type = Int32(SCM_RIGHTS)
                    header.pointee.cmsg_len = clinux_cmsg_len(byteCount)
                    numbers.withUnsafeBytes {
                        UnsafeMutableRawBufferPointer(
                            start: clinux_cmsg_data(header), count: byteCount
                        ).copyMemory(from: $0)
                    }
                }
                return (sendmsg(raw, &message, Int32(MSG_NOSIGNAL)), Errno.current)
            }
            if sent >= 0 { return true }
            switch errno {
            case .interrupted: continue
            case .wouldBlock: return false
            default: throw SystemError("send to the peer", errno)
            }
        }
    }

    /// Receives one message. One that is longer than `byteCount`, or that carries more descriptors
    /// than allowed, is an error, and none of its descriptors stays open.
    package func receive(
        upTo byteCount: Int = 64 << 10, descriptors capacity: Int = maximumDescriptorCount
    ) throws(SystemError) -> Reception {
        var bytes: [UInt8] = []
        var descriptors: [FileDescriptor] = []
        while true {
            // How long it is: most messages are much shorter than they might be.
            let length = recv(raw, nil, 0, Int32(MSG_PEEK | MSG_TRUNC))
            if length < 0 {
                switch Errno.current {
                case .interrupted: continue
                case .wouldBlock: return .wouldBlock
                case .connectionReset: return .closed
                case let errno: throw SystemError("receive from the peer", errno)
                }
            }
            bytes = [UInt8](repeating: 0, count: min(max(length, 1), byteCount))
            var flags: Int32 = 0
            let (received, errno) = Self.withMessage(&bytes, descriptorCapacity: capacity) {
                message in
                let received = recvmsg(raw, &message, Int32(MSG_CMSG_CLOEXEC))
                let errno = Errno.current
                if received >= 0 {
                    flags = message.msg_flags
                    descriptors = Self.descriptors(in: &message)
                }
                return (received, errno)
            }
            if received < 0 {
                switch errno {
                case .interrupted: continue
                case .wouldBlock: return .wouldBlock
                case .connectionReset: return .closed
                default: throw SystemError("receive from the peer", errno)
                }
            }
            guard flags & Int32(MSG_TRUNC | MSG_CTRUNC) == 0 else {
                for descriptor in descriptors { try? descriptor.close() }
                throw SystemError("receive from the peer", .messageTooLong)
            }
            if received == 0 { return .closed }
            if received < bytes.count { bytes.removeLast(bytes.count - received) }
            return .message(Message(bytes: bytes, descriptors: descriptors))
        }
    }

    private var raw: Int32 { descriptor.rawValue }

    private static let type = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)

    private static func make() throws(SystemError) -> SeqpacketSocket {
        let descriptor = try check(socket(AF_UNIX, type, 0), "open a Unix socket")
        return SeqpacketSocket(owning: FileDescriptor(rawValue: descriptor))
    }

    private static func withAddress(
        _ path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(SystemError) -> Void
    ) throws(SystemError) {
        var address = sockaddr_un()
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity, !path.isEmpty else {
            throw SystemError(
                "use '\(path)' as a socket", .fileNameTooLong,
                remedy: "a socket's path has at most \(capacity - 1) bytes")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: address) { pointer in
            Result { () throws(SystemError) in
                try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    pointer throws(SystemError) in
                    try body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        try result.get()
    }

    /// Calls `body` with a message header for the bytes and room for so many descriptors.
    private static func withMessage<Value>(
        _ bytes: inout [UInt8], descriptorCapacity: Int, _ body: (inout msghdr) -> Value
    ) -> Value {
        let controlByteCount =
            descriptorCapacity == 0
            ? 0 : clinux_cmsg_space(descriptorCapacity * MemoryLayout<Int32>.size)
        return bytes.withUnsafeMutableBytes { bytes in
            withUnsafeTemporaryAllocation(
                byteCount: max(controlByteCount, 1), alignment: MemoryLayout<cmsghdr>.alignment
            ) { control in
                control.initializeMemory(as: UInt8.self, repeating: 0)
                var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    var message = msghdr()
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    if controlByteCount > 0 {
                        message.msg_control = control.baseAddress
                        message.msg_controllen = controlByteCount
                    }
                    return body(&message)
                }
            }
        }
    }

    private static func descriptors(in message: inout msghdr) -> [FileDescriptor] {
        var found: [FileDescriptor] = []
        var next = clinux_cmsg_first(&message)
        while let header = next {
            if header.pointee.cmsg_level == SOL_SOCKET,
                header.pointee.cmsg_type == Int32(SCM_RIGHTS)
            {
                let payload = UnsafeRawBufferPointer(
                    start: clinux_cmsg_data(header),
                    count: Int(header.pointee.cmsg_len) - clinux_cmsg_len(0))
                for offset in stride(from: 0, to: payload.count - 3, by: 4) {
                    let number = payload.loadUnaligned(fromByteOffset: offset, as: Int32.self)
                    found.append(FileDescriptor(rawValue: number))
                }
            }
            next = clinux_cmsg_next(&message, header)
        }
        return found
    }
}
