/// The twelve bytes that every message begins with, in the machine's byte order.
struct VhostHeader: Equatable {
    static let byteCount = 12
    private static let versionMask: UInt32 = 3
    private static let version: UInt32 = 1
    private static let replyFlag: UInt32 = 1 << 2
    private static let needReplyFlag: UInt32 = 1 << 3

    var request: UInt32
    var flags: UInt32
    var payloadByteCount: UInt32

    var needsReply: Bool { flags & VhostHeader.needReplyFlag != 0 }

    /// - Parameter bytes: ``byteCount`` of them.
    init(_ bytes: [UInt8]) throws(VhostFault) {
        precondition(bytes.count == VhostHeader.byteCount)
        var reader = PayloadReader(bytes)
        request = reader.word()
        flags = reader.word()
        payloadByteCount = reader.word()
        let name = VhostRequest.name(of: request)
        guard flags & VhostHeader.versionMask == VhostHeader.version else {
            throw VhostFault(
                "the front-end's message \(name) has version "
                    + "\(flags & VhostHeader.versionMask); vhost-user has version 1")
        }
        guard flags & VhostHeader.replyFlag == 0 else {
            throw VhostFault("the front-end sent a reply (\(name)) to no request")
        }
        guard payloadByteCount <= VhostMessage.payloadLimit else {
            throw VhostFault(
                "the front-end's message \(name) announces \(payloadByteCount) bytes; "
                    + "no message has more than \(VhostMessage.payloadLimit)")
        }
    }

    /// Of a reply.
    init(replyTo request: UInt32, payloadByteCount: Int) {
        self.request = request
        flags = VhostHeader.version | VhostHeader.replyFlag
        self.payloadByteCount = UInt32(payloadByteCount)
    }
}

/// A region of guest memory as a front-end describes it: unchecked numbers.
package struct VhostMemoryRegion: Equatable, Sendable {
    static let byteCount = 32

    var guestAddress: UInt64
    var regionByteCount: UInt64
    var frontEndAddress: UInt64
    /// Where in the file it begins, in bytes.
    var offset: UInt64

    /// REM_MEM_REG names a region by everything but its place in the file.
    func isSame(as other: VhostMemoryRegion) -> Bool {
        guestAddress == other.guestAddress && regionByteCount == other.regionByteCount
            && frontEndAddress == other.frontEndAddress
    }
}

/// Where a ring lies, by the front-end's addresses: unchecked numbers.
struct VhostRingAddress: Equatable {
    /// VHOST_VRING_F_LOG.
    static let logFlag: UInt32 = 1

    var flags: UInt32
    var descriptors: UInt64
    /// The used ring; of a packed ring the device's event suppression.
    var used: UInt64
    /// The available ring; of a packed ring the driver's event suppression.
    var available: UInt64
    /// The guest's address of the used ring, for the dirty log.
    var log: UInt64
}

/// A request of a front-end's: shape and sizes checked, values not.
///
/// Theory of operation
///
/// Each request has one payload size (a few have a range) and takes a fixed number of descriptors. A
/// message that differs is refused whole before anything of it is looked at, so that what follows
/// reads fields and never counts bytes. A request that is not known, or not served, is a value of its
/// own: the session decides how to say no.
///
/// Source: vhost-user, "Message Specification". Pure: bytes and a number of descriptors in.
enum VhostMessage: Equatable {
    /// Bytes of payload beyond which no request is read, known or not.
    static let payloadLimit = 4096
    /// Regions in one SET_MEM_TABLE.
    static let regionLimit = 8
    /// Bytes before the contents of GET_CONFIG and SET_CONFIG, and of contents at most.
    static let configurationHeader = 12
    static let configurationLimit = 256

    case getFeatures
    case setFeatures(UInt64)
    case setOwner
    case resetOwner
    case setMemoryTable([VhostMemoryRegion])
    case setLogBase(byteCount: UInt64, offset: UInt64)
    case setLogDescriptor
    case setRingSize(queue: UInt32, UInt32)
    case setRingAddress(queue: UInt32, VhostRingAddress)
    case setRingBase(queue: UInt32, UInt32)
    case getRingBase(queue: UInt32)
    /// The three that follow: whether a descriptor came with it.
    case setRingKick(queue: UInt32, Bool)
    case setRingCall(queue: UInt32, Bool)
    case setRingError(queue: UInt32, Bool)
    case getProtocolFeatures
    case setProtocolFeatures(UInt64)
    case getQueueLimit
    case setRingEnable(queue: UInt32, UInt32)
    /// Six octets of a MAC address, in order.
    case sendRARP([UInt8])
    case setMTU(UInt64)
    case setBackEndChannel
    case getConfiguration(offset: UInt32, byteCount: UInt32)
    case setConfiguration(offset: UInt32, flags: UInt32, [UInt8])
    case getInflight(VhostInflight)
    case setInflight(VhostInflight)
    case resetDevice
    case getMemorySlotLimit
    case addMemoryRegion(VhostMemoryRegion)
    case removeMemoryRegion(VhostMemoryRegion)
    case setStatus(UInt64)
    case getStatus
    /// Not served, whatever it is.
    case unknown(UInt32)

    /// Reads a whole message.
    ///
    /// - Parameter payload: as many bytes as the header says.
    init(
        _ header: VhostHeader, payload: [UInt8], descriptorCount: Int
    ) throws(VhostFault) {
        precondition(payload.count == Int(header.payloadByteCount))
        guard let request = VhostRequest(rawValue: header.request) else {
            self = .unknown(header.request)
            return
        }
        guard request.payloadByteCounts.contains(where: { $0.contains(payload.count) }) else {
            throw VhostFault(
                "the front-end's message \(request.name) has \(payload.count) bytes of "
                    + "payload, which is not its size")
        }
        guard request.descriptorCounts.contains(descriptorCount) else {
            throw VhostFault(
                "the front-end's message \(request.name) came with \(descriptorCount) "
                    + "descriptors, which is not their number")
        }
        var reader = PayloadReader(payload)
        self = try VhostMessage.read(request, &reader, payload.count, descriptorCount)
    }

    private static func read(
        _ request: VhostRequest, _ reader: inout PayloadReader, _ byteCount: Int,
        _ descriptorCount: Int
    ) throws(VhostFault) -> VhostMessage {
        switch request {
        case .getFeatures: return .getFeatures
        case .setFeatures: return .setFeatures(reader.long())
        case .setOwner: return .setOwner
        case .resetOwner: return .resetOwner
        case .setMemoryTable:
            return try memoryTable(&reader, byteCount, descriptorCount)
        case .setLogBase: return .setLogBase(byteCount: reader.long(), offset: reader.long())
        case .setLogDescriptor: return .setLogDescriptor
        case .setRingSize: return .setRingSize(queue: reader.word(), reader.word())
        case .setRingAddress:
            let queue = reader.word()
            let address = VhostRingAddress(
                flags: reader.word(), descriptors: reader.long(), used: reader.long(),
                available: reader.long(), log: reader.long())
            return .setRingAddress(queue: queue, address)
        case .setRingBase: return .setRingBase(queue: reader.word(), reader.word())
        case .getRingBase: return .getRingBase(queue: reader.word())
        case .setRingKick, .setRingCall, .setRingError:
            let (queue, has) = try notifier(request, reader.long(), descriptorCount)
            switch request {
            case .setRingKick: return .setRingKick(queue: queue, has)
            case .setRingCall: return .setRingCall(queue: queue, has)
            default: return .setRingError(queue: queue, has)
            }
        case .getProtocolFeatures: return .getProtocolFeatures
        case .setProtocolFeatures: return .setProtocolFeatures(reader.long())
        case .getQueueLimit: return .getQueueLimit
        case .setRingEnable: return .setRingEnable(queue: reader.word(), reader.word())
        case .sendRARP: return .sendRARP(reader.bytes(6))
        case .setMTU: return .setMTU(reader.long())
        case .setBackEndChannel: return .setBackEndChannel
        case .getConfiguration, .setConfiguration:
            return try configuration(request, &reader, byteCount)
        case .getInflight: return .getInflight(VhostInflight(&reader, byteCount))
        case .setInflight: return .setInflight(VhostInflight(&reader, byteCount))
        case .resetDevice: return .resetDevice
        case .getMemorySlotLimit: return .getMemorySlotLimit
        case .addMemoryRegion, .removeMemoryRegion:
            _ = reader.long()
            let region = reader.region()
            return request == .addMemoryRegion
                ? .addMemoryRegion(region) : .removeMemoryRegion(region)
        case .setStatus: return .setStatus(reader.long())
        case .getStatus: return .getStatus
        }
    }

    private static func memoryTable(
        _ reader: inout PayloadReader, _ byteCount: Int, _ descriptorCount: Int
    ) throws(VhostFault) -> VhostMessage {
        let count = Int(reader.word())
        _ = reader.word()
        // User-mode Linux sends room for two regions and says how many there are.
        let room = (byteCount - 8) / VhostMemoryRegion.byteCount
        guard (byteCount - 8) % VhostMemoryRegion.byteCount == 0, count <= room else {
            throw VhostFault(
                "the front-end's memory table announces \(count) regions in "
                    + "\(byteCount) bytes")
        }
        guard count == descriptorCount else {
            throw VhostFault(
                "the front-end's memory table has \(count) regions and "
                    + "\(descriptorCount) descriptors for them")
        }
        return .setMemoryTable((0..<count).map { _ in reader.region() })
    }

    /// Bits 0 to 7 are the queue, bit 8 says that there is no descriptor.
    private static func notifier(
        _ request: VhostRequest, _ value: UInt64, _ descriptorCount: Int
    ) throws(VhostFault) -> (queue: UInt32, hasDescriptor: Bool) {
        let hasDescriptor = value & 0x100 == 0
        guard value & ~0x1FF == 0, hasDescriptor == (descriptorCount == 1) else {
            throw VhostFault(
                "the front-end's message \(request.name) says 0x"
                    + String(value, radix: 16)
                    + " and came with \(descriptorCount) descriptors, which do not agree")
        }
        return (UInt32(value & 0xFF), hasDescriptor)
    }

    private static func configuration(
        _ request: VhostRequest, _ reader: inout PayloadReader, _ byteCount: Int
    ) throws(VhostFault) -> VhostMessage {
        let offset = reader.word()
        let count = reader.word()
        let flags = reader.word()
        guard Int(count) == byteCount - configurationHeader else {
            throw VhostFault(
                "the front-end's message \(request.name) announces \(count) bytes and "
                    + "has \(byteCount - configurationHeader)")
        }
        guard request == .setConfiguration else {
            return .getConfiguration(offset: offset, byteCount: count)
        }
        return .setConfiguration(offset: offset, flags: flags, reader.bytes(Int(count)))
    }
}

/// What GET_INFLIGHT_FD and SET_INFLIGHT_FD say: unchecked numbers.
struct VhostInflight: Equatable {
    var byteCount: UInt64
    var offset: UInt64
    var queueCount: UInt16
    var queueSize: UInt16
    /// Of the message, which a reply repeats.
    var payloadByteCount: Int

    init(
        byteCount: UInt64, offset: UInt64, queueCount: UInt16, queueSize: UInt16,
        payloadByteCount: Int = 24
    ) {
        self.byteCount = byteCount
        self.offset = offset
        self.queueCount = queueCount
        self.queueSize = queueSize
        self.payloadByteCount = payloadByteCount
    }

    init(_ reader: inout PayloadReader, _ payloadByteCount: Int) {
        byteCount = reader.long()
        offset = reader.long()
        queueCount = reader.half()
        queueSize = reader.half()
        self.payloadByteCount = payloadByteCount
    }
}
