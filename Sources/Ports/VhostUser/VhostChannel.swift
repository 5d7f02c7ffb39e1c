import CLinux
import Glibc

/// The socket to a front-end: whole messages in, replies out, neither ever waited for.
///
/// A message may come a byte at a time, and the socket be too full for a reply: then what is there is
/// kept, and gone on with when the socket is ready. While a reply waits, no more messages are read, so
/// that a front-end that does not read cannot make replies pile up.
struct VhostChannel: ~Copyable {
    let descriptor: Int32
    private var assembler = VhostMessageAssembler()
    private var reply: VhostReply?
    private var sentByteCount = 0

    /// What reading found.
    enum Input {
        case message(VhostMessageAssembler.Complete)
        /// Nothing more for now.
        case nothing
        /// The front-end has closed the connection.
        case end
    }

    /// - Parameter descriptor: a stream socket, which this closes.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Whether a reply waits until the socket is writable.
    var isSending: Bool { reply != nil }

    // MARK: Reading

    /// Reads the next message.
    ///
    /// - Throws: what is wrong with it.
    mutating func read() throws(VhostFault) -> Input {
        while true {
            let wanted = assembler.wantedByteCount
            let takesDescriptors = assembler.takesDescriptors
            var passed: [PassedDescriptor] = []
            var isTruncated = false
            var complete: Result<VhostMessageAssembler.Complete?, VhostFault> = .success(nil)
            let count = withUnsafeTemporaryAllocation(byteCount: wanted, alignment: 1) { bytes in
                let count = VhostChannel.receive(
                    descriptor, bytes,
                    takesDescriptors ? VhostMessageAssembler.descriptorLimit : 0, &passed,
                    &isTruncated)
                guard count > 0, !(isTruncated && takesDescriptors) else { return count }
                let read = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                complete = Result { () throws(VhostFault) in try assembler.add(read, passed) }
                return count
            }
            if isTruncated && takesDescriptors {
                throw VhostFault(
                    "the front-end sent more than \(VhostMessageAssembler.descriptorLimit) "
                        + "descriptors with one message")
            }
            if let message = try complete.get() { return .message(message) }
            if count > 0 { continue }
            guard count < 0 else { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .end
            }
        }
    }

    /// recvmsg(2), with what descriptors came.
    private static func receive(
        _ descriptor: Int32, _ bytes: UnsafeMutableRawBufferPointer, _ descriptorLimit: Int,
        _ passed: inout [PassedDescriptor], _ isTruncated: inout Bool
    ) -> Int {
        var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        let room = descriptorLimit > 0 ? clinux_cmsg_space(descriptorLimit * 4) : 0
        return withUnsafeTemporaryAllocation(byteCount: room, alignment: 8) { control in
            withUnsafeMutablePointer(to: &piece) { piece in
                var message = msghdr()
                message.msg_iov = piece
                message.msg_iovlen = 1
                message.msg_control = room > 0 ? control.baseAddress : nil
                message.msg_controllen = room
                let flags = Int32(MSG_DONTWAIT) | Int32(MSG_CMSG_CLOEXEC)
                let count = recvmsg(descriptor, &message, flags)
                let code = errno
                guard count >= 0 else { return count }
                var header = clinux_cmsg_first(&message)
                while let current = header {
                    take(current.pointee, clinux_cmsg_data(current), &passed)
                    header = clinux_cmsg_next(&message, current)
                }
                isTruncated = message.msg_flags & Int32(MSG_CTRUNC) != 0
                errno = code
                return count
            }
        }
    }

    private static func take(
        _ header: cmsghdr, _ data: UnsafeMutablePointer<UInt8>?, _ passed: inout [PassedDescriptor]
    ) {
        guard header.cmsg_level == SOL_SOCKET, header.cmsg_type == Int32(SCM_RIGHTS),
            let data
        else { return }
        let count = (header.cmsg_len - clinux_cmsg_len(0)) / 4
        for place in 0..<count {
            let descriptor = UnsafeRawPointer(data).loadUnaligned(
                fromByteOffset: 4 * place, as: Int32.self)
            passed.append(PassedDescriptor(system: descriptor))
        }
    }

    // MARK: Sending

    /// Sends a reply, or as much of it as the socket takes now.
    ///
    /// - Returns: false when the connection has ended.
    mutating func send(_ reply: VhostReply) -> Bool {
        precondition(self.reply == nil)
        self.reply = reply
        sentByteCount = 0
        return flush()
    }

    /// Goes on with the reply that waits.
    ///
    /// - Returns: false when the connection has ended.
    mutating func flush() -> Bool {
        while let reply, sentByteCount < reply.bytes.count {
            // A descriptor goes with the first byte.
            let passed = sentByteCount == 0 ? reply.descriptor : nil
            let count = VhostChannel.transmit(
                descriptor, reply.bytes[sentByteCount...], passed?.rawValue)
            guard count >= 0 else {
                switch errno {
                case EINTR: continue
                case EAGAIN: return true
                default: return false
                }
            }
            sentByteCount += count
        }
        reply = nil
        return true
    }

    private static func transmit(
        _ descriptor: Int32, _ bytes: ArraySlice<UInt8>, _ passed: Int32?
    ) -> Int {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        return bytes.withUnsafeBytes { bytes in
            guard let passed else {
                return Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
            }
            var piece = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                iov_len: bytes.count)
            let room = clinux_cmsg_space(4)
            return withUnsafeTemporaryAllocation(byteCount: room, alignment: 8) { control in
                withUnsafeMutablePointer(to: &piece) { piece in
                    control.initializeMemory(as: UInt8.self, repeating: 0)
                    var message = msghdr()
                    message.msg_iov = piece
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = room
                    guard let header = clinux_cmsg_first(&message) else { return -1 }
                    header.pointee.cmsg_level = SOL_SOCKET
                    header.pointee.cmsg_type = Int32(SCM_RIGHTS)
                    header.pointee.cmsg_len = clinux_cmsg_len(4)
                    UnsafeMutableRawPointer(clinux_cmsg_data(header)!).storeBytes(
                        of: passed, as: Int32.self)
                    return sendmsg(descriptor, &message, flags)
                }
            }
        }
    }
}
