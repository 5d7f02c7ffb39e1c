/// The requests that a network front-end makes and that are served, by the specification's numbers
/// (vhost-user, "Front-end message types").
enum VhostRequest: UInt32, CaseIterable {
    case getFeatures = 1
    case setFeatures = 2
    case setOwner = 3
    case resetOwner = 4
    case setMemoryTable = 5
    case setLogBase = 6
    case setLogDescriptor = 7
    case setRingSize = 8
    case setRingAddress = 9
    case setRingBase = 10
    case getRingBase = 11
    case setRingKick = 12
    case setRingCall = 13
    case setRingError = 14
    case getProtocolFeatures = 15
    case setProtocolFeatures = 16
    case getQueueLimit = 17
    case setRingEnable = 18
    case sendRARP = 19
    case setMTU = 20
    case setBackEndChannel = 21
    case getConfiguration = 24
    case setConfiguration = 25
    case getInflight = 31
    case setInflight = 32
    case resetDevice = 34
    case getMemorySlotLimit = 36
    case addMemoryRegion = 37
    case removeMemoryRegion = 38
    case setStatus = 39
    case getStatus = 40

    /// The payload sizes that are right; what a payload says of its own length is checked when it is
    /// read.
    var payloadByteCounts: [ClosedRange<Int>] {
        switch self {
        case .getFeatures, .setOwner, .resetOwner, .getProtocolFeatures, .getQueueLimit,
            .setBackEndChannel, .resetDevice, .getMemorySlotLimit, .getStatus:
            [0...0]
        case .setFeatures, .setProtocolFeatures, .sendRARP, .setMTU, .setStatus, .setRingKick,
            .setRingCall, .setRingError, .setRingSize, .setRingBase, .getRingBase, .setRingEnable:
            [8...8]
        // The specification has no payload; some front-ends send a word of no meaning.
        case .setLogDescriptor: [0...0, 8...8]
        case .setRingAddress: [40...40]
        case .setLogBase: [16...16]
        case .setMemoryTable: [8...(8 + VhostMessage.regionLimit * VhostMemoryRegion.byteCount)]
        case .addMemoryRegion, .removeMemoryRegion: [40...40]
        case .getConfiguration, .setConfiguration:
            [
                VhostMessage
                    .configurationHeader...(VhostMessage.configurationHeader
                    + VhostMessage.configurationLimit)
            ]
        // Its last eight bytes hold two 16-bit numbers, and most front-ends send the padding too.
        case .getInflight, .setInflight: [20...20, 24...24]
        }
    }

    /// How many descriptors may come with it; what the payload says of them is checked when it is
    /// read.
    var descriptorCounts: ClosedRange<Int> {
        switch self {
        case .setMemoryTable: 0...VhostMessage.regionLimit
        case .setLogBase, .setLogDescriptor, .setBackEndChannel, .addMemoryRegion, .setInflight:
            1...1
        case .setRingKick, .setRingCall, .setRingError: 0...1
        // None by the specification, which bears with front-ends that send the region's.
        case .removeMemoryRegion: 0...1
        default: 0...0
        }
    }

    var name: String { VhostRequest.name(of: rawValue) }

    /// The specification's name of any request, also of those that are not served.
    static func name(of number: UInt32) -> String {
        guard number > 0, Int(number) <= names.count else { return "request \(number)" }
        return "VHOST_USER_" + names[Int(number) - 1]
    }

    private static let names = [
        "GET_FEATURES", "SET_FEATURES", "SET_OWNER", "RESET_OWNER", "SET_MEM_TABLE",
        "SET_LOG_BASE", "SET_LOG_FD", "SET_VRING_NUM", "SET_VRING_ADDR", "SET_VRING_BASE",
        "GET_VRING_BASE", "SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR",
        "GET_PROTOCOL_FEATURES", "SET_PROTOCOL_FEATURES", "GET_QUEUE_NUM", "SET_VRING_ENABLE",
        "SEND_RARP", "NET_SET_MTU", "SET_BACKEND_REQ_FD", "IOTLB_MSG", "SET_VRING_ENDIAN",
        "GET_CONFIG", "SET_CONFIG", "CREATE_CRYPTO_SESSION", "CLOSE_CRYPTO_SESSION",
        "POSTCOPY_ADVISE", "POSTCOPY_LISTEN", "POSTCOPY_END", "GET_INFLIGHT_FD",
        "SET_INFLIGHT_FD", "GPU_SET_SOCKET", "RESET_DEVICE", "VRING_KICK", "GET_MAX_MEM_SLOTS",
        "ADD_MEM_REG", "REM_MEM_REG", "SET_STATUS", "GET_STATUS", "GET_SHARED_OBJECT",
        "SET_DEVICE_STATE_FD", "CHECK_DEVICE_STATE",
    ]
}
