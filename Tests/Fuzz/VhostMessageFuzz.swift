// A front-end that says anything: bytes as they come, messages of the right shape with values from a
// small world in which some of them fit together, faults of the device, an end and a new beginning.
// After each step the session is held to what the device and the system rely on.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzVhostMessage(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    var input = FuzzInput(data, byteCount)
    let system = VhostFuzzSystem()
    let device = VhostFuzzDevice(system: system)
    while !input.isEmpty {
        converse(&input, device, system)
        precondition(system.open.isEmpty, "a descriptor outlives its front-end")
        precondition(device.running.isEmpty && device.memory == nil && device.log == nil)
        precondition(device.enabled.isEmpty && device.fault == nil)
    }
    return 0
}

/// One front-end, until it is refused, goes, or the input ends.
private func converse(
    _ input: inout FuzzInput, _ device: VhostFuzzDevice, _ system: VhostFuzzSystem
) {
    let session = VhostSession(
        device: device, system: system, queuePairs: 1 + input.below(3),
        mtu: input.below(2) == 0 ? nil : 1500)
    var assembler = VhostMessageAssembler()
    defer { session.end() }
    while !input.isEmpty {
        switch input.below(16) {
        case 0:
            guard feed(&input, input.bytes(1 + input.below(64)), &assembler, session, system)
            else { return }
        case 1:
            device.fault = VhostFault("found")
            session.deviceFaulted()
            precondition(device.running.isEmpty)
        case 2: return
        case 3:
            // It is told of later, or never, if the rings stop before.
            if !device.running.isEmpty { device.fault = VhostFault("found") }
        default:
            guard feed(&input, message(&input), &assembler, session, system) else { return }
        }
        check(session, device, system)
    }
}

/// Gives the session bytes, in pieces of any size, with descriptors at the first.
///
/// - Returns: false when the front-end is refused.
private func feed(
    _ input: inout FuzzInput, _ bytes: [UInt8], _ assembler: inout VhostMessageAssembler,
    _ session: VhostSession, _ system: VhostFuzzSystem
) -> Bool {
    // Nearly always as many as the request takes.
    var count = input.below(16)
    if bytes.count >= 12, count > 9, let request = VhostRequest(rawValue: UInt32(bytes[0])) {
        switch request {
        case .setMemoryTable: count = bytes.count > 12 ? Int(bytes[12]) : 0
        case .setRingKick, .setRingCall, .setRingError:
            count = bytes.count > 13 && bytes[13] & 1 == 0 ? 1 : 0
        default: count = request.descriptorCounts.lowerBound
        }
    }
    var passed = (0..<min(count, 10)).map { _ in system.descriptor() }
    var rest = bytes[...]
    while !rest.isEmpty {
        let wanted = assembler.wantedByteCount
        precondition(wanted > 0)
        let piece = Array(rest.prefix(input.below(4) == 0 ? 1 + input.below(wanted) : wanted))
        rest = rest.dropFirst(piece.count)
        do {
            let complete = try piece.withUnsafeBytes {
                try assembler.add($0, assembler.takesDescriptors ? passed : [])
            }
            passed = []
            guard let complete else { continue }
            let reply = try session.receive(complete)
            if complete.header.needsReply { precondition(reply != nil) }
            guard let reply else { continue }
            let byteCount = reply.bytes.withUnsafeBytes { bytes in
                precondition(bytes.load(as: UInt32.self) == complete.header.request)
                precondition(bytes.load(fromByteOffset: 4, as: UInt32.self) == 5)
                return Int(bytes.load(fromByteOffset: 8, as: UInt32.self))
            }
            precondition(reply.bytes.count == 12 + byteCount)
        } catch {
            precondition((error as? VhostFault)?.sentence.isEmpty == false)
            return false
        }
    }
    return true
}

/// A message of the right shape.
private func message(_ input: inout FuzzInput) -> [UInt8] {
    let number = UInt32(1 + input.below(42))
    var payload: [UInt8] = []
    func long(_ value: UInt64) { payload.append(value) }
    func word(_ value: UInt32) { payload.append(value) }
    func region() {
        let place = UInt64(input.below(6))
        long(place * 0x1_0000)
        long(input.below(8) == 0 ? UInt64(input.word()) << 40 : 0x1_0000)
        long(0x7000_0000 + place * 0x1_0000 + (input.below(16) == 0 ? 1 : 0))
        long(input.below(4) == 0 ? UInt64(input.word()) : 0)
    }
    let queue = UInt32(input.below(8))
    switch VhostRequest(rawValue: number) {
    case .setFeatures:
        var bits = VirtioFeature.version1
        let choice = input.byte()
        for (place, feature) in [
            VirtioFeature.protocolFeatures, VirtioFeature.ringPacked, VirtioFeature.eventIndex,
            VirtioFeature.logAll, VirtioFeature.mergeableBuffers, VirtioFeature.indirectDescriptors,
        ].enumerated() where choice >> UInt8(place) & 1 == 1 { bits |= feature }
        long(choice & 0xC0 == 0xC0 ? .max : bits)
    case .setProtocolFeatures: long(UInt64(input.word()))
    case .setMemoryTable:
        let count = input.below(4)
        word(UInt32(count))
        word(0)
        for _ in 0..<count { region() }
    case .addMemoryRegion, .removeMemoryRegion:
        long(0)
        region()
    case .setLogBase:
        long(UInt64(input.word()))
        long(0)
    case .setRingSize:
        word(queue)
        word([1, 2, 8, 64, 256, 100, 32768, UInt32(input.word())][input.below(8)])
    case .setRingAddress:
        word(queue)
        word(UInt32(input.below(2)))
        for _ in 0..<3 { long(0x7000_0000 + UInt64(input.word()) << 4 & 0xF_FFF0) }
        long(UInt64(input.word()))
    case .setRingBase, .getRingBase, .setRingEnable:
        word(queue)
        word(input.below(4) == 0 ? UInt32(input.word()) << 16 : UInt32(input.below(2)))
    case .setRingKick, .setRingCall, .setRingError:
        long(UInt64(queue) | (input.below(4) == 0 ? 0x100 : 0))
    case .getInflight, .setInflight:
        long(UInt64(input.word()) << 4)
        long(UInt64(input.below(3)) * 8)
        word(UInt32(1 + input.below(8)) | UInt32(input.word() & 0x1FF) << 16)
        word(0)
    case .getConfiguration, .setConfiguration:
        let count = input.below(32)
        word(UInt32(input.below(300)))
        word(UInt32(count))
        word(UInt32(input.below(2)))
        payload += input.bytes(count)
    case let request?:
        payload = input.bytes(request.payloadByteCounts[0].lowerBound)
    case nil: payload = input.bytes(input.below(64))
    }
    var bytes: [UInt8] = []
    bytes.append(number)
    bytes.append(UInt32(input.below(2) == 0 ? 1 : 9))
    bytes.append(UInt32(payload.count))
    return bytes + payload
}

/// What the device was told agrees with what the session keeps.
private func check(
    _ session: VhostSession, _ device: VhostFuzzDevice, _ system: VhostFuzzSystem
) {
    for index in session.rings.indices {
        precondition(session.rings[index].isRunning == (device.running[index] != nil))
        guard let setup = device.running[index] else { continue }
        precondition(!session.isHalted)
        for descriptor in [setup.kick, setup.call, setup.err] where descriptor >= 0 {
            precondition(system.open.contains(descriptor), "a ring has a closed descriptor")
        }
        device.touch(setup)
    }
    // Three for each ring, and a channel of ours.
    precondition(system.open.count <= 3 * session.rings.count + 1 + VhostMessage.regionLimit)
    device.log?.mark(guestAddress: 0x1_0000, byteCount: 0x3_0000)
    if let memory = device.memory {
        for place in 0..<memory.regionCount {
            let region = memory[place]
            region.host.storeBytes(of: 1, as: UInt8.self)
            region.host.storeBytes(
                of: 1, toByteOffset: Int(region.byteCount) - 1, as: UInt8.self)
        }
    }
    if session.summary != nil { precondition(!device.running.isEmpty) }
}
