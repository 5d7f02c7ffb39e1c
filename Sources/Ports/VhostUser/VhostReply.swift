/// A message to the front-end: bytes, and a descriptor that goes with them.
struct VhostReply {
    var bytes: [UInt8]
    var descriptor: PassedDescriptor?

    private init(to request: UInt32, _ payload: [UInt8], _ descriptor: PassedDescriptor? = nil) {
        let header = VhostHeader(replyTo: request, payloadByteCount: payload.count)
        bytes = []
        bytes.reserveCapacity(VhostHeader.byteCount + payload.count)
        bytes.append(header.request)
        bytes.append(header.flags)
        bytes.append(header.payloadByteCount)
        bytes += payload
        self.descriptor = descriptor
    }

    /// A number; of an acknowledgement, zero for success.
    static func number(_ value: UInt64, to request: UInt32) -> VhostReply {
        var payload: [UInt8] = []
        payload.append(value)
        return VhostReply(to: request, payload)
    }

    static func empty(to request: VhostRequest) -> VhostReply {
        VhostReply(to: request.rawValue, [])
    }

    static func ringBase(queue: UInt32, _ base: UInt32) -> VhostReply {
        var payload: [UInt8] = []
        payload.append(queue)
        payload.append(base)
        return VhostReply(to: VhostRequest.getRingBase.rawValue, payload)
    }

    /// - Parameter contents: nil for a range that the device does not have.
    static func configuration(offset: UInt32, _ contents: [UInt8]?) -> VhostReply {
        // "uses zero length of payload to indicate an error".
        guard let contents else { return .empty(to: .getConfiguration) }
        var payload: [UInt8] = []
        payload.append(offset)
        payload.append(UInt32(contents.count))
        payload.append(UInt32(0))
        return VhostReply(to: VhostRequest.getConfiguration.rawValue, payload + contents)
    }

    static func inflight(
        _ inflight: VhostInflight, _ descriptor: PassedDescriptor?
    ) -> VhostReply {
        var payload: [UInt8] = []
        payload.append(inflight.byteCount)
        payload.append(inflight.offset)
        payload.append(inflight.queueCount)
        payload.append(inflight.queueSize)
        payload += [UInt8](repeating: 0, count: inflight.payloadByteCount - payload.count)
        return VhostReply(to: VhostRequest.getInflight.rawValue, payload, descriptor)
    }
}

extension [UInt8] {
    /// In the machine's byte order.
    mutating func append(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
    }
}
