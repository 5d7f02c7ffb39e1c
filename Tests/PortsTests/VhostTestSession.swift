import Testing

@testable import Ports

/// Memory of this process in the role of a front-end's.
final class VhostTestMemory: SharedMemory {
    let bytes: UnsafeMutableRawPointer
    let byteCount: Int

    init(byteCount: Int) {
        self.byteCount = byteCount
        bytes = .allocate(byteCount: byteCount, alignment: 4096)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit { bytes.deallocate() }
}

/// The system as a session in a test sees it: descriptors are numbers that are counted.
final class VhostTestSystem: VhostSystem {
    var open: Set<Int32> = []
    private var next: Int32 = 100
    var signalled: [Int32] = []
    var mapped: [VhostTestMemory] = []
    var refusesNotifiers = false
    var mapLimit: UInt64 = 1 << 24

    func descriptor() -> PassedDescriptor {
        next += 1
        open.insert(next)
        return PassedDescriptor(next, close: { [weak self] in self?.open.remove($0) })
    }

    func map(
        _ descriptor: PassedDescriptor, offset: UInt64, byteCount: UInt64
    ) throws(VhostFault) -> any SharedMemory {
        guard byteCount <= mapLimit else { throw VhostFault("too large") }
        let memory = VhostTestMemory(byteCount: Int(byteCount))
        mapped.append(memory)
        return memory
    }

    func makeFile(
        byteCount: Int
    ) throws(VhostFault) -> (descriptor: PassedDescriptor, memory: any SharedMemory) {
        (descriptor(), VhostTestMemory(byteCount: byteCount))
    }

    func prepare(notifier: PassedDescriptor) throws(VhostFault) {
        if refusesNotifiers { throw VhostFault("no eventfd") }
    }

    func signal(_ notifier: PassedDescriptor) { signalled.append(notifier.rawValue) }
}

/// A session with a recording device, spoken to in bytes.
final class VhostTestSession {
    let device = VhostRecordingDevice()
    let system = VhostTestSystem()
    let session: VhostSession

    static let needReply: UInt32 = 9
    /// Guest memory: 1 MiB at guest address 0x10_0000, the front-end's 0x7F00_0000.
    static let region = VhostMemoryRegion(
        guestAddress: 0x10_0000, regionByteCount: 1 << 20, frontEndAddress: 0x7F00_0000, offset: 0)

    init(queuePairs: Int = 2, mtu: UInt16? = 1500) {
        session = VhostSession(
            device: device, system: system, queuePairs: queuePairs, mtu: mtu)
    }

    /// Says something; what is answered, without its header.
    @discardableResult
    func say(
        _ request: VhostRequest, _ payload: [UInt8] = [], descriptors: Int = 0,
        needReply: Bool = false
    ) throws -> [UInt8]? {
        let bytes = VhostTestMessage.bytes(
            request, payload, flags: needReply ? VhostTestSession.needReply : 1)
        let header = try VhostHeader(Array(bytes.prefix(12)))
        let passed = (0..<descriptors).map { _ in system.descriptor() }
        let message = try VhostMessage(
            header, payload: payload, descriptorCount: descriptors)
        let reply = try session.receive(
            VhostMessageAssembler.Complete(
                header: header, message: message, descriptors: passed))
        return reply.map { Array($0.bytes.dropFirst(12)) }
    }

    func negotiate(_ features: UInt64 = VirtioFeature.version1) throws {
        try say(.setOwner)
        try say(.setFeatures, VhostTestMessage.long(features))
    }

    func giveMemory() throws {
        try say(
            .setMemoryTable, VhostTestMessage.table([VhostTestSession.region]), descriptors: 1)
    }

    /// The address of a ring whose parts begin at an offset of the memory.
    static func address(at offset: UInt64, flags: UInt32 = 0) -> VhostRingAddress {
        let start = region.frontEndAddress + offset
        return VhostRingAddress(
            flags: flags, descriptors: start, used: start + 0x8000, available: start + 0x4000,
            log: region.guestAddress + offset + 0x8000)
    }

    /// Everything of a ring, the kick last.
    func giveRing(
        _ queue: UInt32, size: UInt32 = 256, base: UInt32 = 0, flags: UInt32 = 0
    ) throws {
        try say(.setRingCall, VhostTestMessage.long(UInt64(queue)), descriptors: 1)
        try say(.setRingSize, VhostTestMessage.state(queue, size))
        try say(.setRingBase, VhostTestMessage.state(queue, base))
        try say(
            .setRingAddress,
            VhostTestMessage.address(
                queue, VhostTestSession.address(at: UInt64(queue) * 0x1_0000, flags: flags)))
        try say(.setRingKick, VhostTestMessage.long(UInt64(queue)), descriptors: 1)
    }

    func base(of queue: UInt32) throws -> UInt32 {
        let reply = try #require(
            try say(.getRingBase, VhostTestMessage.state(queue, 0)))
        return reply.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self) }
    }
}
