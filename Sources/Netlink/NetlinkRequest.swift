import CMnl

/// One netlink request: the bytes that go to the kernel, and the words that name it in an error.
///
/// The sequence number is written by the socket that sends it; until then it is zero, so that the
/// bytes of a request are a function of its arguments and can be compared with a golden text.
package struct NetlinkRequest {
    /// What is being done, as in "cannot `operation` `object`".
    let operation: String
    /// What it is being done to.
    let object: String
    /// The whole message, header included.
    private(set) var bytes: [UInt8]
    /// The arguments did not fit; sending it is refused.
    let isOverlong: Bool

    /// Enough for every request made here: names are at most 128 bytes and an alias 256.
    private static let capacity = 4096

    /// - Parameters:
    ///   - type: the RTM_ constant.
    ///   - flags: NLM_F_ constants; NLM_F_REQUEST is always added.
    init(
        _ type: Int, flags: Int32, operation: String, object: String,
        build: (inout MessageBuilder) -> Void
    ) {
        self.operation = operation
        self.object = object
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.capacity, alignment: Int(MNL_ALIGNTO))
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        var builder = MessageBuilder(
            buffer, type: UInt16(type), flags: UInt16(NLM_F_REQUEST | flags))
        build(&builder)
        bytes = builder.bytes
        isOverlong = builder.isOverlong
    }

    /// The message with its sequence number (header bytes 8 to 11, host order).
    func numbered(_ sequence: UInt32) -> [UInt8] {
        var numbered = bytes
        numbered.withUnsafeMutableBytes {
            $0.storeBytes(of: sequence, toByteOffset: 8, as: UInt32.self)
        }
        return numbered
    }
}

/// Appends fixed headers and attributes to a message, through libmnl, which aligns and nests them.
///
/// Unsafe, but enclosed: the buffer outlives the builder (`NetlinkRequest.init` is the only caller)
/// and every append is checked against its size; what does not fit marks the message as overlong.
struct MessageBuilder {
    private let buffer: UnsafeMutableRawBufferPointer
    private let header: UnsafeMutablePointer<nlmsghdr>
    private(set) var isOverlong = false

    init(_ buffer: UnsafeMutableRawBufferPointer, type: UInt16, flags: UInt16) {
        self.buffer = buffer
        header = mnl_nlmsg_put_header(buffer.baseAddress)
        header.pointee.nlmsg_type = type
        header.pointee.nlmsg_flags = flags
    }

    var bytes: [UInt8] {
        Array(UnsafeRawBufferPointer(buffer)[..<Int(header.pointee.nlmsg_len)])
    }

    /// A family's fixed header (ifinfomsg, ifaddrmsg), at the front or inside a nest.
    mutating func put<Header: BitwiseCopyable>(header value: Header) {
        let byteCount = MemoryLayout<Header>.size
        guard Int(header.pointee.nlmsg_len) + byteCount + 4 <= buffer.count,
            let destination = mnl_nlmsg_put_extra_header(header, byteCount)
        else {
            isOverlong = true
            return
        }
        destination.storeBytes(of: value, as: Header.self)
    }

    mutating func put(_ type: Int, _ value: UInt32) {
        note(mnl_attr_put_u32_check(header, buffer.count, UInt16(type), value))
    }

    mutating func put(_ type: Int, bytes: [UInt8]) {
        note(mnl_attr_put_check(header, buffer.count, UInt16(type), bytes.count, bytes))
    }

    /// A string with its terminating NUL, as names are sent.
    mutating func put(_ type: Int, name: String) {
        note(mnl_attr_put_strz_check(header, buffer.count, UInt16(type), name))
    }

    /// A string without NUL; the empty one is an attribute without payload.
    mutating func put(_ type: Int, text: String) {
        note(mnl_attr_put_str_check(header, buffer.count, UInt16(type), text))
    }

    mutating func nest(_ type: Int, _ build: (inout MessageBuilder) -> Void) {
        guard let start = mnl_attr_nest_start_check(header, buffer.count, UInt16(type)) else {
            isOverlong = true
            return
        }
        build(&self)
        mnl_attr_nest_end(header, start)
    }

    private mutating func note(_ fitted: Bool) {
        if !fitted { isOverlong = true }
    }
}
