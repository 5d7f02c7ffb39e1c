/// Puts messages together from a stream that may come a byte at a time.
///
/// It says how many bytes it wants next and never more than the message at hand has, so that
/// descriptors are those of the message whose header they came with: a stream of a Unix socket ends a
/// read where other descriptors begin. They are taken with the header only; what comes with a payload
/// belongs to nothing, and the kernel closes it when it is read without room for it.
struct VhostMessageAssembler {
    /// Descriptors with one message: one for each region of a memory table.
    static let descriptorLimit = VhostMessage.regionLimit

    private var headerBytes: [UInt8] = []
    private var header: VhostHeader?
    private var payload: [UInt8] = []
    private var descriptors: [PassedDescriptor] = []

    /// A message, with what came with it.
    struct Complete {
        var header: VhostHeader
        var message: VhostMessage
        var descriptors: [PassedDescriptor]
    }

    /// Bytes to read next, at least one.
    var wantedByteCount: Int {
        guard let header else { return VhostHeader.byteCount - headerBytes.count }
        return Int(header.payloadByteCount) - payload.count
    }

    /// Whether descriptors may come with the next bytes.
    var takesDescriptors: Bool { header == nil }

    /// Adds what was read.
    ///
    /// - Parameter bytes: as many as were wanted, or fewer.
    /// - Returns: the message, once it is complete.
    mutating func add(
        _ bytes: UnsafeRawBufferPointer, _ passed: [PassedDescriptor] = []
    ) throws(VhostFault) -> Complete? {
        precondition(bytes.count <= wantedByteCount)
        descriptors += passed
        guard descriptors.count <= VhostMessageAssembler.descriptorLimit else {
            throw VhostFault(
                "the front-end sent more than "
                    + "\(VhostMessageAssembler.descriptorLimit) descriptors with one message")
        }
        if header == nil {
            headerBytes += bytes
            guard headerBytes.count == VhostHeader.byteCount else { return nil }
            header = try VhostHeader(headerBytes)
        } else {
            payload += bytes
        }
        guard let header, wantedByteCount == 0 else { return nil }
        let message = try VhostMessage(
            header, payload: payload, descriptorCount: descriptors.count)
        let complete = Complete(header: header, message: message, descriptors: descriptors)
        self = VhostMessageAssembler()
        return complete
    }
}
