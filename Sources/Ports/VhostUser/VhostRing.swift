/// What a front-end has said of one ring so far, and where it runs.
struct VhostRing {
    enum Kick {
        /// None was named: the ring is stopped.
        case none
        /// There is no descriptor: the ring is to be polled.
        case polled
        case descriptor(PassedDescriptor)

        var rawValue: Int32 {
            if case .descriptor(let descriptor) = self { descriptor.rawValue } else { -1 }
        }

        var isNone: Bool { if case .none = self { true } else { false } }
    }

    /// The parts of a ring in mapped memory.
    struct Places: Equatable {
        var descriptors: UnsafeMutableRawPointer
        var driverArea: UnsafeMutableRawPointer
        var deviceArea: UnsafeMutableRawPointer
    }

    /// 0: not named yet.
    var size: UInt32 = 0
    var address: VhostRingAddress?
    var base: UInt32 = 0
    /// Whether the front-end said so, and not the device when the ring was stopped.
    var isBaseClaimed = false
    var kick = Kick.none
    var call: PassedDescriptor?
    var err: PassedDescriptor?
    /// What SET_VRING_ENABLE said; nil when nothing.
    var enableRequest: Bool?
    /// Where it runs; nil while it is stopped.
    var places: Places?
    /// Where its used entries are logged, and how many bytes of them, while it runs.
    var usedLog: (address: UInt64, byteCount: Int)?

    var isRunning: Bool { places != nil }
}

/// The sizes and alignments of a ring's parts (virtio 1.3, sections 2.7 and 2.8).
struct VhostRingLayout {
    static let sizeLimit = 32768

    let size: Int
    let isPacked: Bool
    let hasEventIndex: Bool

    /// - Throws: when no ring has this size.
    init(size: UInt32, features: UInt64) throws(VhostFault) {
        isPacked = features & VirtioFeature.ringPacked != 0
        hasEventIndex = features & VirtioFeature.eventIndex != 0
        guard (1...VhostRingLayout.sizeLimit).contains(Int(size)) else {
            throw VhostFault("a size of \(size), and a ring has 1 to \(VhostRingLayout.sizeLimit)")
        }
        guard isPacked || size & (size - 1) == 0 else {
            throw VhostFault("a size of \(size), and a split ring's is a power of two")
        }
        self.size = Int(size)
    }

    var descriptorByteCount: Int { 16 * size }
    /// Flags, index, an entry for each descriptor; with EVENT_IDX a word more.
    var driverByteCount: Int { isPacked ? 4 : 4 + 2 * size + eventByteCount }
    var deviceByteCount: Int { isPacked ? 4 : 4 + 8 * size + eventByteCount }
    var driverAlignment: Int { isPacked ? 4 : 2 }

    static let descriptorAlignment = 16
    static let deviceAlignment = 4

    private var eventByteCount: Int { hasEventIndex ? 2 : 0 }

    /// Whether a ring of this layout can go on from a base (SET_VRING_BASE).
    func canBegin(at base: UInt32) -> Bool {
        guard isPacked else { return base <= 0xFFFF }
        return Int(base & 0x7FFF) < size && Int(base >> 16 & 0x7FFF) < size
    }
}
