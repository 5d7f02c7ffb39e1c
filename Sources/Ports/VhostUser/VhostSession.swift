import Wire

/// One front-end, from its first message to its last: what it has said, and the device run by that.
///
/// Theory of operation
///
/// Messages come one at a time, their shape checked (``VhostMessage``); each changes what is known and
/// is answered where the specification has an answer or the front-end asks for one (NEED_REPLY). A
/// ring runs when its size, its addresses and its kick descriptor have been named, it is enabled, and
/// the addresses lie in mapped memory. It stops when it is disabled, with GET_VRING_BASE, with a reset, and with a change of the negotiated features. Everything may be named
/// anew while rings run: a ring whose addresses then lie elsewhere is stopped and started again where
/// it was.
///
/// Three ways of saying no. A message that is not well formed, or asks for what was not offered, is
/// *refused*: an error is answered if an answer was asked for, and the connection is closed otherwise.
/// A ring that cannot be run, or in which the device found what must not be, makes the port *fail*:
/// all rings stop, the front-end's error descriptor is signalled, and the connection stays, since a
/// reset of the driver is all that is needed. Until then the port is *halted*: no ring starts.
///
/// Not served, and not offered: an IOMMU, post-copy, notifications in messages, big-endian
/// rings.
///
/// Thread: one at a time, which the owner sees to. Free of system calls but for ``VhostSystem``.
final class VhostSession {
    let device: any VhostDevice
    let system: any VhostSystem
    /// Receive and transmit queues are numbered in turn, and one control queue may follow.
    let queuePairLimit: Int
    let offered: UInt64
    /// The MTU of the port's network; nil when it is not known.
    let mtu: UInt16?

    /// As the front-end accepted them; 0 until then.
    var features: UInt64 = 0
    private(set) var protocolFeatures: VhostProtocolFeatures = []
    var rings: [VhostRing]
    var table = GuestMemoryTable()
    var memory: GuestMemory?
    var log: DirtyLog?
    var inflight: InflightRegion?
    /// Held open and never written to.
    private var backEndChannel: PassedDescriptor?
    /// SET_OWNER has come.
    private var hasOwner = false
    /// Protocol features were asked for before that.
    private var hasAskedEarly = false
    /// The device status of virtio 1.3, section 2.1.
    private var status: UInt8 = 0
    /// No ring starts before the front-end begins anew.
    var isHalted = false
    /// What went wrong last, until a ring runs.
    var problem: String?

    /// DEVICE_NEEDS_RESET.
    private static let needsReset: UInt8 = 0x40

    init(
        device: any VhostDevice, system: any VhostSystem, queuePairs: Int, mtu: UInt16? = nil,
        features: UInt64 = VhostFeatures.offered
    ) {
        precondition((1...16).contains(queuePairs))
        self.device = device
        self.system = system
        queuePairLimit = queuePairs
        self.mtu = mtu
        offered = mtu == nil ? features : features | VirtioFeature.mtu
        rings = Array(repeating: VhostRing(), count: 2 * queuePairs + 1)
    }

    /// Serves a message.
    ///
    /// - Returns: what is to be sent.
    /// - Throws: why the connection is to be closed.
    func receive(
        _ complete: VhostMessageAssembler.Complete
    ) throws(VhostFault) -> VhostReply? {
        let request = complete.header.request
        let answer: Answer
        do {
            answer = try serve(complete.message, complete.descriptors)
        } catch {
            guard complete.header.needsReply else { throw error }
            problem = error.sentence
            answer = .failed
        }
        switch answer {
        case .reply(let reply): return reply
        case .done: return complete.header.needsReply ? .number(0, to: request) : nil
        case .failed: return complete.header.needsReply ? .number(1, to: request) : nil
        }
    }

    /// The device has found something wrong in a ring.
    func deviceFaulted() {
        while let (queue, fault) = device.takeFault() { fail(queue: queue, fault) }
    }

    /// The front-end is gone: all that it gave goes back.
    func end() {
        for index in rings.indices {
            stop(index)
            device.setEnabled(index, false)
        }
        device.setDirtyLog(nil)
        device.setMemory(nil)
        rings = Array(repeating: VhostRing(), count: rings.count)
        log = nil
        inflight = nil
        memory = nil
        table = GuestMemoryTable()
        backEndChannel = nil
    }

    /// What was agreed, for a listing; nil while no ring runs.
    var summary: String? {
        guard rings.contains(where: { $0.isRunning }) else { return nil }
        let pairs = (0..<queuePairLimit).count {
            rings[2 * $0].isRunning && rings[2 * $0 + 1].isRunning
        }
        var parts =
            switch pairs {
            case 0: ["no queue pair enabled"]
            case 1: ["1 queue pair"]
            default: ["\(pairs) queue pairs"]
            }
        parts.append(features & VirtioFeature.ringPacked != 0 ? "packed ring" : "split ring")
        if features & VirtioFeature.mergeableBuffers != 0 { parts.append("mergeable buffers") }
        if log != nil, features & VirtioFeature.logAll != 0 { parts.append("dirty pages logged") }
        return parts.joined(separator: ", ")
    }

    // MARK: Messages

    enum Answer {
        /// Acknowledged if that was asked for.
        case done
        case reply(VhostReply)
        /// Acknowledged as failed if that was asked for; the connection stays.
        case failed
    }

    private func serve(
        _ message: VhostMessage, _ descriptors: [PassedDescriptor]
    ) throws(VhostFault) -> Answer {
        switch message {
        case .getFeatures: return number(offered, .getFeatures)
        case .setFeatures(let bits): try setFeatures(bits)
        case .getProtocolFeatures:
            if !hasOwner { hasAskedEarly = true }
            return number(offeredProtocolFeatures.rawValue, .getProtocolFeatures)
        case .setProtocolFeatures(let bits): try setProtocolFeatures(bits)
        case .getQueueLimit: return number(UInt64(queuePairLimit), .getQueueLimit)
        case .setOwner:
            hasOwner = true
            isHalted = false
        // "It is recommended that back-ends either ignore this message, or use it to disable all
        // rings."
        case .resetOwner: break
        case .setMemoryTable(let regions): return try setMemoryTable(regions, descriptors)
        case .addMemoryRegion(let region): return try addMemoryRegion(region, descriptors[0])
        case .removeMemoryRegion(let region): return removeMemoryRegion(region)
        case .getMemorySlotLimit:
            return number(UInt64(GuestMemoryTable.regionLimit), .getMemorySlotLimit)
        case .setLogBase(let byteCount, let offset):
            return try setLog(byteCount, offset, descriptors[0])
        // To be told of changes is the front-end's wish, and none that was seen has it.
        case .setLogDescriptor: break
        case .getInflight(let wanted): return try getInflight(wanted)
        case .setInflight(let given): try setInflight(given, descriptors[0])
        case .setRingSize(let queue, let size): try setSize(try ring(queue), size)
        case .setRingAddress(let queue, let address):
            return setAddress(try ring(queue), address)
        case .setRingBase(let queue, let base): try setBase(try ring(queue), base)
        case .getRingBase(let queue): return .reply(getBase(try ring(queue)))
        case .setRingKick(let queue, _):
            return try setKick(try ring(queue), descriptors.first)
        case .setRingCall(let queue, _): try setCall(try ring(queue), descriptors.first)
        case .setRingError(let queue, _): try setError(try ring(queue), descriptors.first)
        case .setRingEnable(let queue, let value):
            return try setEnable(try ring(queue), value)
        case .sendRARP(let octets): try announce(octets)
        case .setMTU(let value): try setMTU(value)
        case .setBackEndChannel: backEndChannel = descriptors[0]
        case .getConfiguration(let offset, let byteCount):
            return .reply(
                .configuration(offset: offset, configuration(offset, Int(byteCount))))
        case .setConfiguration(let offset, let flags, let bytes):
            try setConfiguration(offset, flags, bytes)
        case .resetDevice: resetDevice()
        case .setStatus(let value): try setStatus(value)
        case .getStatus:
            return number(
                UInt64(isHalted ? status | VhostSession.needsReset : status), .getStatus)
        case .unknown(let request):
            throw VhostFault(
                "the front-end sent \(VhostRequest.name(of: request)), which is not served")
        }
        return .done
    }

    private func number(_ value: UInt64, _ request: VhostRequest) -> Answer {
        .reply(.number(value, to: request.rawValue))
    }

    private func ring(_ queue: UInt32) throws(VhostFault) -> Int {
        guard queue < rings.count else {
            throw VhostFault(
                "the front-end named queue \(queue); with \(queuePairLimit) queue pairs the last "
                    + "is \(rings.count - 1)")
        }
        return Int(queue)
    }

    // MARK: Negotiation

    /// QEMU, alone of the front-ends that were seen, asks before it owns the session. It keeps a
    /// network device's configuration itself, and prints a warning when the back-end has one as well;
    /// User-mode Linux reads nothing but garbage without.
    private var offeredProtocolFeatures: VhostProtocolFeatures {
        hasAskedEarly
            ? VhostProtocolFeatures.offered.subtracting(.configuration)
            : VhostProtocolFeatures.offered
    }

    private func setFeatures(_ bits: UInt64) throws(VhostFault) {
        guard bits & ~offered == 0 else {
            throw VhostFault(
                "the front-end accepted features that were not offered: bits "
                    + VhostFeatures.bitList(bits & ~offered))
        }
        // Only logging may change under a running ring; anything else is another driver's.
        if (bits ^ features) & ~VirtioFeature.logAll != 0 {
            for index in rings.indices {
                stop(index)
                rings[index].kick = .none
            }
        }
        if !rings.contains(where: { $0.isRunning }) { isHalted = false }
        features = bits
        for index in rings.indices { device.setEnabled(index, isEnabled(index)) }
        updateLog()
    }

    private func setProtocolFeatures(_ bits: UInt64) throws(VhostFault) {
        let surplus = bits & ~VhostProtocolFeatures.offered.rawValue
        guard surplus == 0 else {
            throw VhostFault(
                "the front-end accepted protocol features that were not offered: bits "
                    + VhostFeatures.bitList(surplus))
        }
        protocolFeatures = VhostProtocolFeatures(rawValue: bits)
    }

    /// "Ask the back-end to disable all rings and reset all internal device state to the initial
    /// state": the memory is the front-end's, not the device's, and stays.
    private func resetDevice() {
        for index in rings.indices {
            stop(index)
            rings[index].kick = .none
            rings[index].size = 0
            rings[index].address = nil
            rings[index].base = 0
            rings[index].enableRequest = nil
        }
        features = 0
        status = 0
        isHalted = false
        for index in rings.indices { device.setEnabled(index, false) }
        updateLog()
    }

    private func setStatus(_ value: UInt64) throws(VhostFault) {
        guard value <= 0xFF else {
            throw VhostFault("the front-end set the device status 0x\(String(value, radix: 16))")
        }
        status = UInt8(value) & ~VhostSession.needsReset
        guard status == 0 else { return }
        for index in rings.indices {
            stop(index)
            rings[index].kick = .none
        }
        isHalted = false
    }

    // MARK: The network device

    private func announce(_ octets: [UInt8]) throws(VhostFault) {
        let address = octets.withUnsafeBytes { MACAddress($0.baseAddress!) }
        guard octets[0] & 1 == 0, address != .zero else {
            throw VhostFault("the front-end wants to announce \(address), which no card has")
        }
        device.announce(address)
    }

    /// "The back-end must respond with zero in case the specified MTU is valid, or non-zero."
    private func setMTU(_ value: UInt64) throws(VhostFault) {
        let limit = mtu.map(UInt64.init) ?? 65535
        guard (68...limit).contains(value) else {
            throw VhostFault(
                "the front-end has an MTU of \(value), and the port's network one of \(limit): "
                    + "give QEMU's device 'host_mtu=\(limit)', or the network a larger one")
        }
    }

    /// Part of struct virtio_net_config (virtio 1.3, section 5.1.4); nil beyond its end.
    private func configuration(_ offset: UInt32, _ byteCount: Int) -> [UInt8]? {
        guard Int(offset) + byteCount <= VhostMessage.configurationLimit else { return nil }
        var fields = [UInt8](repeating: 0, count: 6)
        fields.append(UInt16(1).littleEndian)  // VIRTIO_NET_S_LINK_UP
        fields.append(UInt16(queuePairLimit).littleEndian)
        fields.append((mtu ?? 0).littleEndian)
        fields.append(UInt32.max)  // Speed and duplex are not known.
        fields.append(UInt8.max)
        fields += [UInt8](repeating: 0, count: VhostMessage.configurationLimit - fields.count)
        return Array(fields[Int(offset)..<(Int(offset) + byteCount)])
    }

    /// The MAC address is all that a driver may write, and it is the front-end's to know.
    private func setConfiguration(
        _ offset: UInt32, _ flags: UInt32, _ bytes: [UInt8]
    ) throws(VhostFault) {
        let isMigration = flags == 1
        guard isMigration || (flags == 0 && Int(offset) + bytes.count <= 6) else {
            throw VhostFault(
                "the front-end wrote \(bytes.count) bytes at \(offset) of the device's "
                    + "configuration, which are not to be written")
        }
    }
}
