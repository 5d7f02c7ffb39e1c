import CLinux
import CMnl
import SystemPackage

/// One message of a received datagram. Valid only until the buffer is received into again.
struct NetlinkMessage {
    let type: Int32
    let flags: Int32
    let sequence: UInt32
    /// What follows the header.
    let payload: UnsafeRawBufferPointer

    /// The payload's fixed header, or nil when the message is too short for one.
    func header<Header: BitwiseCopyable>(_ type: Header.Type) -> Header? {
        payload.count >= MemoryLayout<Header>.size ? payload.loadUnaligned(as: type) : nil
    }

    /// What follows the fixed header.
    func attributes<Header>(after type: Header.Type) -> Attributes {
        Attributes(of: payload, after: MemoryLayout<Header>.size)
    }

    /// The result in an NLMSG_ERROR or NLMSG_DONE message (errno zero: done), with the text of the
    /// extended acknowledgement; nil when the message is too short.
    var outcome: (errno: Errno, text: String?)? {
        guard let error = header(Int32.self) else {
            // NLMSG_DONE may come without a payload.
            return type == NLMSG_DONE ? (Errno(rawValue: 0), nil) : nil
        }
        var text: String?
        if flags & NLM_F_ACK_TLVS != 0 {
            for attribute in Attributes(of: payload, after: extendedOffset)
            where attribute.type == Int(NLMSGERR_ATTR_MSG.rawValue) {
                text = attribute.string
            }
        }
        // Negated with wrapping: a nonsensical Int32.min must not trap.
        return (Errno(rawValue: 0 &- error), text)
    }

    /// Where the extended acknowledgement starts: behind the error number, and in an NLMSG_ERROR
    /// behind the failed request, of which a capped answer repeats the header only.
    private var extendedOffset: Int {
        guard type == NLMSG_ERROR else { return MemoryLayout<Int32>.size }
        let errorByteCount = MemoryLayout<nlmsgerr>.size
        guard flags & NLM_F_CAPPED == 0, let error = header(nlmsgerr.self) else {
            return errorByteCount
        }
        let request = Int(error.msg.nlmsg_len) - MemoryLayout<nlmsghdr>.size
        return errorByteCount + Swift.max(0, request)
    }
}

/// The messages of one datagram, in order, as libmnl finds them. A length that runs past the end
/// stops the walk.
struct NetlinkMessages: Sequence {
    let datagram: UnsafeRawBufferPointer

    init(_ datagram: UnsafeRawBufferPointer) {
        self.datagram = datagram
    }

    struct Iterator: IteratorProtocol {
        fileprivate var rest: UnsafeRawBufferPointer

        mutating func next() -> NetlinkMessage? {
            guard let base = rest.baseAddress, rest.count >= MemoryLayout<nlmsghdr>.size else {
                return nil
            }
            let header = base.assumingMemoryBound(to: nlmsghdr.self)
            let byteCount = Int(header.pointee.nlmsg_len)
            // libmnl compares signed lengths: 0xFFFFFFFF would pass as -1.
            guard mnl_nlmsg_ok(header, Int32(rest.count)), byteCount <= rest.count else {
                return nil
            }
            let message = NetlinkMessage(
                type: Int32(header.pointee.nlmsg_type), flags: Int32(header.pointee.nlmsg_flags),
                sequence: header.pointee.nlmsg_seq,
                payload: UnsafeRawBufferPointer(
                    rebasing: rest[MemoryLayout<nlmsghdr>.size..<byteCount]))
            let step = Swift.min((byteCount + 3) & ~3, rest.count)
            rest = UnsafeRawBufferPointer(rebasing: rest[step...])
            return message
        }
    }

    func makeIterator() -> Iterator { Iterator(rest: datagram) }
}
