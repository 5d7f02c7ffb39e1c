/// Heap memory in the role of mapped memory, so that AddressSanitizer sees its ends.
private final class VhostFuzzMemory: SharedMemory {
    let bytes: UnsafeMutableRawPointer
    let byteCount: Int

    init(byteCount: Int) {
        self.byteCount = byteCount
        bytes = .allocate(byteCount: byteCount, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit { bytes.deallocate() }
}

/// Counts descriptors and lends memory.
final class VhostFuzzSystem: VhostSystem {
    var open: Set<Int32> = []
    private var next: Int32 = 0

    func descriptor() -> PassedDescriptor {
        next += 1
        open.insert(next)
        return PassedDescriptor(
            next,
            close: { [weak self] descriptor in
                precondition(self?.open.remove(descriptor) != nil, "closed twice")
            })
    }

    func map(
        _ descriptor: PassedDescriptor, offset: UInt64, byteCount: UInt64
    ) throws(VhostFault) -> any SharedMemory {
        precondition(open.contains(descriptor.rawValue))
        guard byteCount > 0, byteCount <= 1 << 20 else { throw VhostFault("no such file") }
        return VhostFuzzMemory(byteCount: Int(byteCount))
    }

    func makeFile(
        byteCount: Int
    ) throws(VhostFault) -> (descriptor: PassedDescriptor, memory: any SharedMemory) {
        (descriptor(), VhostFuzzMemory(byteCount: byteCount))
    }

    func prepare(notifier: PassedDescriptor) throws(VhostFault) {
        if notifier.rawValue % 37 == 0 { throw VhostFault("no eventfd") }
    }

    func signal(_ notifier: PassedDescriptor) {
        precondition(open.contains(notifier.rawValue))
    }
}

/// Holds the session to the order of calls, and touches all that it is given.
final class VhostFuzzDevice: VhostDevice, @unchecked Sendable {
    // @unchecked: one thread.
    private let system: VhostFuzzSystem
    var running: [Int: VirtQueueSetup] = [:]
    var enabled: Set<Int> = []
    var memory: GuestMemory?
    var log: DirtyLog?
    var fault: VhostFault?
    let faultDescriptor: Int32 = -1

    init(system: VhostFuzzSystem) { self.system = system }

    func startQueue(_ index: Int, _ setup: VirtQueueSetup) throws(VhostFault) {
        precondition(running[index] == nil)
        precondition(memory != nil)
        precondition(setup.isPacked == (setup.features & VirtioFeature.ringPacked != 0))
        touch(setup)
        if setup.size == 2 { throw VhostFault("not today") }
        running[index] = setup
    }

    /// The ends of every part.
    func touch(_ setup: VirtQueueSetup) {
        let size = Int(setup.size)
        let event = setup.features & VirtioFeature.eventIndex != 0 ? 2 : 0
        for (part, byteCount, alignment) in [
            (setup.descriptors, 16 * size, 16),
            (setup.driverArea, setup.isPacked ? 4 : 4 + 2 * size + event, 2),
            (setup.deviceArea, setup.isPacked ? 4 : 4 + 8 * size + event, 4),
        ] {
            precondition(Int(bitPattern: part) % alignment == 0)
            part.storeBytes(of: 0, as: UInt8.self)
            part.storeBytes(of: 0, toByteOffset: byteCount - 1, as: UInt8.self)
        }
        guard let inflight = setup.inflight else { return }
        precondition(Int(bitPattern: inflight) % 8 == 0)
        let byteCount = setup.isPacked ? 32 + 32 * size : 16 + 16 * size
        inflight.storeBytes(of: 0, as: UInt8.self)
        inflight.storeBytes(of: 0, toByteOffset: byteCount - 1, as: UInt8.self)
    }

    func stopQueue(_ index: Int) -> UInt32? { running.removeValue(forKey: index)?.base }

    func setEnabled(_ index: Int, _ isEnabled: Bool) {
        if isEnabled { enabled.insert(index) } else { enabled.remove(index) }
    }

    func setCall(_ index: Int, _ descriptor: Int32) { running[index]!.call = descriptor }
    func setKick(_ index: Int, _ descriptor: Int32) { running[index]!.kick = descriptor }
    func setMemory(_ memory: GuestMemory?) { self.memory = memory }
    func setDirtyLog(_ log: DirtyLog?) { self.log = log }

    func announce(_ address: MACAddress) {
        precondition(address.rawValue != 0 && address.rawValue >> 40 & 1 == 0)
    }

    func takeFault() -> (queue: Int, fault: VhostFault)? {
        defer { fault = nil }
        return fault.map { (0, $0) }
    }
}
