// The input as a switch at the end of tunnels and what happens to it: batches of datagrams from
// peers, strangers and itself, frames from ports to both, underlays that refuse, and new
// configurations between and under them. After each step the switch is held to what it promises:
// every frame and datagram accounted for, none in another network, none from tunnel to tunnel, what
// leaves well-formed and complete (TunnelFuzz+Checks.swift).
//
// Two workers take turns on one thread, so that frames are handed over, at times across a change of
// configuration. Peers and strangers do not answer: what they send is all in the input. One switch
// serves all executions and is made empty before each; building one takes longer than an execution.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTunnel(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    guard byteCount >= 8 else { return 0 }
    lab.execute(FuzzInput(data, byteCount))
    return 0
}

nonisolated(unsafe) private let lab = TunnelFuzzLab()

final class TunnelFuzzLab {
    static let portCount = 4
    static let numberCount: UInt16 = 16
    /// Underlays: VXLAN, Geneve, and GRE with NVGRE.
    static let underlayNumbers: [UInt16] = [5, 6, 7]
    static let startTime: UInt64 = 1_000_000_000_000
    static let local = UnderlayAddress(ipv4: 0xC000_0201)
    static let peers = [
        UnderlayAddress(ipv4: 0xC000_0202), UnderlayAddress(ipv4: 0xC000_0203),
        UnderlayAddress(high: 0x2001_0DB8_0000_0000, low: 2),
    ]
    static let mtus: [UInt32] = [0, 1500, 400, 9000, 65_535]

    let fabric = Fabric(
        workers: 2, portCapacity: Int(numberCount), domainCapacity: 8, fdbCapacity: 512, seed: 1)
    private var first: Worker
    private var second: Worker
    /// By port number and kind of offloads.
    let attachments: [[MemoryPort]]
    /// By place in `underlayNumbers`, without and with segmentation.
    let sockets: [[FuzzUnderlay]]
    private static let offloadKinds: [OffloadSet] = [[], [.checksum, .tso4], .all]
    private static let depth = 64

    var configuration = DataplaneConfiguration()
    private var time = startTime

    init() {
        first = Worker(fabric: fabric, index: 0)
        second = Worker(fabric: fabric, index: 1)
        attachments = (0..<TunnelFuzzLab.portCount).map { _ in
            TunnelFuzzLab.offloadKinds.map {
                MemoryPort(offloads: $0, depth: TunnelFuzzLab.depth, slotByteCount: 66_000)
            }
        }
        sockets = (0..<3).map { place in
            [
                FuzzUnderlay(segments: false, sourceCount: 1),
                // Raw sockets cut nothing.
                FuzzUnderlay(segments: place < 2, sourceCount: place < 2 ? 16 : 1),
            ]
        }
    }

    func execute(_ start: FuzzInput) {
        var input = start
        reset(&input)
        var steps = 0
        while !input.isEmpty, steps < 16 {
            steps += 1
            step(&input)
        }
        takeBackSlots()
        // What is lost stays lost: once is enough.
        checkCounters()
    }

    /// As a switch that was just made, but for counters and generation.
    private func reset(_ input: inout FuzzInput) {
        time = TunnelFuzzLab.startTime
        command(.flush(FDB.FlushPattern(includesStatic: true)))
        for port in 0..<fabric.portCapacity {
            first.replyLimiters[port] = ReplyLimiter(perSecond: 10, burst: 3)
            second.replyLimiters[port] = ReplyLimiter(perSecond: 10, burst: 3)
        }
        fabric.fdb.state.pointee.sweepCursor = 0
        fabric.fdb.state.pointee.sweepTick = Worker.tick(time)
        for underlay in sockets.joined() {
            underlay.arrivals = []
            underlay.sent = []
            underlay.failures = 0
        }
        configuration = DataplaneConfiguration()
        configureDomains(input.byte())
        for number in 0..<TunnelFuzzLab.portCount { configurePort(number, &input) }
        for place in 0..<3 { configureUnderlay(place, &input) }
        publish()
        fabric.reclaim()
    }

    private func takeBackSlots() {
        settle()
        first.recycleSlots()
        second.recycleSlots()
        precondition(first.pool.available + first.burst.limit == first.pool.capacity)
        precondition(second.pool.available + second.burst.limit == second.pool.capacity)
    }

    // MARK: Configuration

    /// Bits 0 to 3: which domains there are; 4 and 5: which VNIs they have.
    private func configureDomains(_ shape: UInt8) {
        let shift = UInt32(shape >> 4 & 3)
        configuration.domains = (1...UInt16(4)).filter { shape >> ($0 - 1) & 1 == 0 }.map {
            number in
            DomainConfiguration(
                number: number, vid: number * 10, mtu: TunnelFuzzLab.mtus[Int(number)],
                // The last stays at home.
                vni: number == 4 ? 0 : 5000 + (UInt32(number) + shift) % 4)
        }
    }

    private func configurePort(_ number: Int, _ input: inout FuzzInput) {
        let shape = input.byte()
        let flags = input.byte()
        configuration.ports.removeAll { $0.number == UInt16(number) }
        let existing = Set(configuration.domains.map(\.number))
        let membership: PortConfiguration.Membership
        if shape & 1 == 0 {
            let domain = UInt16(shape >> 1) % 4 + 1
            guard existing.contains(domain) else { return }
            membership = .access(domain: domain)
        } else {
            let domains = existing.sorted().filter { shape >> $0 & 1 == 1 }
            membership = .trunk(domains: domains, native: shape & 0x20 != 0 ? domains.first : nil)
        }
        configuration.ports.append(
            PortConfiguration(
                number: UInt16(number), membership: membership, isUp: flags & 0xC0 != 0xC0,
                isIsolated: flags & 6 == 6, isSticky: flags & 0x18 == 0x18, worker: Int(flags & 1),
                port: attachments[number][Int(flags >> 5 & 1) + Int(shape >> 7)]))
    }

    /// An underlay and its tunnels, numbered 8 + 2 × place and the next.
    private func configureUnderlay(_ place: Int, _ input: inout FuzzInput) {
        let shape = input.byte()
        let number = TunnelFuzzLab.underlayNumbers[place]
        configuration.underlays.removeAll { $0.number == number }
        configuration.tunnels.removeAll { $0.underlay == number }
        guard shape & 7 != 7 else { return }
        configuration.underlays.append(
            UnderlayConfiguration(
                number: number, local: TunnelFuzzLab.local, worker: Int(shape & 1),
                underlay: sockets[place][Int(shape >> 1 & 1)]))
        for which in 0..<2 { configureTunnel(place, which, &input) }
    }

    private func configureTunnel(_ place: Int, _ which: Int, _ input: inout FuzzInput) {
        let shape = input.byte()
        let number = UInt16(8 + 2 * place + which)
        configuration.tunnels.removeAll { $0.number == number }
        let kinds: [Encapsulation] = [.vxlan, .geneve, which == 0 ? .gre : .nvgre]
        let sizes: [UInt32] = [1450, 1450, 300, 8950, 1280, 65_000, 0, 1450]
        configuration.tunnels.append(
            TunnelConfiguration(
                number: number, underlay: TunnelFuzzLab.underlayNumbers[place],
                encapsulation: kinds[place],
                // Two tunnels of an underlay never lead to one address.
                remote: TunnelFuzzLab.peers[which + (shape >> 7 == 1 ? which : 0)],
                domains: configuration.domains.filter { $0.vni != 0 && shape >> $0.number & 1 == 0 }
                    .map(\.number),
                isUp: shape & 1 == 0, maximumPacketByteCount: sizes[Int(shape >> 4 & 7)],
                clampsMSS: shape & 0x30 == 0x10))
    }

    /// Makes the rest of the configuration fit its domains.
    private func followDomains() {
        let existing = Set(configuration.domains.map(\.number))
        let carried = Set(configuration.domains.filter { $0.vni != 0 }.map(\.number))
        for place in configuration.tunnels.indices {
            configuration.tunnels[place].domains.removeAll { !carried.contains($0) }
        }
        configuration.ports.removeAll {
            if case .access(let domain) = $0.membership { return !existing.contains(domain) }
            return false
        }
        for place in configuration.ports.indices {
            guard case .trunk(let domains, let native) = configuration.ports[place].membership
            else { continue }
            configuration.ports[place].membership = .trunk(
                domains: domains.filter(existing.contains),
                native: native.flatMap { existing.contains($0) ? $0 : nil })
        }
    }

    private func publish() { _ = fabric.publish(configuration) }

    private func reconfigure(_ input: inout FuzzInput) {
        let what = input.byte()
        switch what & 7 {
        case 0, 1:
            configureDomains(what >> 3)
            followDomains()
        case 2: configurePort(Int(what >> 4) % TunnelFuzzLab.portCount, &input)
        case 3: configureUnderlay(Int(what >> 4) % 3, &input)
        case 4:
            let place = Int(what >> 4) % 3
            let number = TunnelFuzzLab.underlayNumbers[place]
            guard configuration.underlays.contains(where: { $0.number == number }) else { return }
            configureTunnel(place, Int(what >> 3 & 1), &input)
        case 5:
            configuration.captures = [
                CaptureTap(
                    ports: Set(
                        (0..<TunnelFuzzLab.numberCount).filter { what >> ($0 & 7) & 1 == 1 }),
                    points: CaptureTap.Points(rawValue: what >> 5), snapLength: Int(what) * 8,
                    workers: 2, portCapacity: 16, ringByteCount: 4096)
            ]
        default:
            let underlays = sockets.joined()
            for underlay in underlays {
                underlay.failures = what & 8 == 0 ? 0 : input.byte()
                underlay.failure =
                    [.egressFull, .overlayMTU, .tunnelDown, .egressRejected][
                        Int(what >> 4 & 3)]
            }
        }
        publish()
    }

    // MARK: Steps

    private func step(_ input: inout FuzzInput) {
        let operation = input.byte()
        switch operation & 7 {
        case 0, 1, 2: fromPort(&input, operation)
        case 3, 4, 5: fromUnderlay(&input, operation)
        case 6: reconfigure(&input)
        default: other(&input, operation)
        }
        settle()
        for outputs in attachments.joined() { while outputs.take() != nil {} }
        for underlay in sockets.joined() { underlay.sent = [] }
    }

    private func other(_ input: inout FuzzInput, _ operation: UInt8) {
        let key = FDBKey(
            domain: 1 + UInt16(input.below(4)), address: TunnelFuzzLab.address(&input))
        // Also to numbers that are nobody's, or an underlay's.
        let port = UInt16(input.below(Int(TunnelFuzzLab.numberCount)))
        switch operation >> 3 & 3 {
        case 0: time += UInt64(input.byte()) * 100_000_000
        case 1: command(.addStatic(key, port: port))
        case 2: command(.delete(key))
        default: command(.flush(FDB.FlushPattern(port: port)))
        }
    }

    private func command(_ operation: FDBCommand.Operation) {
        fabric.links[0].send(FDBCommand(operation))
        repeat { _ = first.beginRound(time: time) } while first.endRound()
    }

    /// Lets both workers finish what they were handed.
    private func settle() {
        var isBusy = true
        while isBusy {
            _ = first.beginRound(time: time)
            _ = second.beginRound(time: time)
            isBusy = first.endRound()
            if second.endRound() { isBusy = true }
        }
    }

    /// Has the owner of a port or an underlay receive once; the datagrams or frames it got.
    private func serve(_ number: UInt16, worker: Int) -> Int {
        if worker == 0 {
            _ = first.beginRound(time: time)
            _ = first.serve(port: number)
            return first.receivedCount
        }
        _ = second.beginRound(time: time)
        _ = second.serve(port: number)
        return second.receivedCount
    }

    /// One of a few stations, mostly.
    static func address(_ input: inout FuzzInput) -> UInt64 {
        let byte = input.byte()
        switch byte {
        case 0xFF, 0xFE: return 0xFFFF_FFFF_FFFF
        case 0xFD: return 0x0180_C200_0000
        case 0xFC: return 0
        default: return 0x0200_0000_0000 | UInt64(byte & 7)
        }
    }

    // MARK: From a port

    private func fromPort(_ input: inout FuzzInput, _ operation: UInt8) {
        let number = UInt16(input.below(TunnelFuzzLab.portCount))
        let (bytes, offload, isHonest) = frame(&input)
        guard let ingress = configuration.ports.first(where: { $0.number == number }),
            let attachment = ingress.port as? MemoryPort
        else { return }
        // Enough for full bursts and messages, of frames that are not long.
        let copies =
            operation & 0x78 == 0x78 && bytes.count < 300
            ? TunnelFuzzLab.depth : 1 + Int(operation >> 6)
        for _ in 0..<copies {
            guard attachment.put(bytes, offload: offload) else {
                preconditionFailure("the port has room for all")
            }
        }
        let received = fabric.value(.received, port: number)
        let tooBig = tooBigCount
        let count = serve(number, worker: ingress.worker)
        precondition(count == copies)
        precondition(fabric.value(.received, port: number) == received + UInt64(copies))
        var sent = SentFrame(
            bytes: bytes, isHonest: isHonest, ingress: ingress, copies: copies,
            wasTooBig: tooBigCount != tooBig)
        // A frame may be under way between workers while the configuration changes.
        let changes = operation & 0x30 == 0x20
        if changes {
            checkOutputs(of: sent)
            sent.isOvertaken = true
            reconfigure(&input)
        }
        settle()
        checkOutputs(of: sent)
    }

    /// Too big for a tunnel, so far.
    private var tooBigCount: UInt64 {
        (8..<TunnelFuzzLab.numberCount).reduce(0) { $0 + fabric.value(.overlayMTU, port: $1) }
    }

    /// A frame as a port may send it; honest when nothing in it is wrong.
    private func frame(_ input: inout FuzzInput) -> ([UInt8], Offload, isHonest: Bool) {
        let kind = input.byte()
        var packet = FuzzPacket(
            destination: TunnelFuzzLab.address(&input), source: TunnelFuzzLab.address(&input))
        let tag = input.byte()
        if tag & 1 != 0 {
            let vids: [UInt32] = [0, 10, 20, 30, 40, 10, 20, 0xFFF]
            packet.tags = [0x8100_0000 | UInt32(tag & 0xF0) << 8 | vids[Int(tag >> 1 & 7)]]
        }
        if kind & 7 == 0 {
            var bytes: [UInt8] = []
            FuzzPacket.append(packet.destination, 6, to: &bytes)
            FuzzPacket.append(packet.source, 6, to: &bytes)
            for tag in packet.tags { FuzzPacket.append(UInt64(tag), 4, to: &bytes) }
            return (bytes + input.bytes(Int(input.byte())), .none, false)
        }
        let offload = shape(&packet, kind, &input)
        var bytes = packet.bytes
        guard kind & 0xC0 == 0xC0 else { return (bytes, offload, true) }
        for _ in 0..<1 + input.below(4) { bytes[input.below(120) % bytes.count] = input.byte() }
        return (bytes, offload, false)
    }

    private func shape(
        _ packet: inout FuzzPacket, _ kind: UInt8, _ input: inout FuzzInput
    ) -> Offload {
        packet.isIPv6 = kind & 8 != 0
        packet.isTCP = kind & 7 < 6
        packet.forbidsFragments = kind & 0x10 != 0
        let choice = input.byte()
        packet.dataByteCount = Int(input.word()) % (choice & 0xF0 == 0xF0 ? 65_400 : 3000)
        packet.sequenceNumber = UInt32(choice) << 24
        if packet.isTCP, choice & 0x40 != 0 {
            packet.options = [2, 4, input.byte(), 0xB4]
            if choice & 0x60 == 0x60 { packet.options += [1, 1, 1, 0] }
        }
        let isGSO = choice & 1 != 0
        if packet.isTCP {
            packet.flags = isGSO ? [0x10, 0x18, 0x99, 0x11][Int(choice >> 3 & 3)] : 0x10
            if !isGSO, choice & 0x18 == 0x18 { packet.flags = 0x02 }
        }
        guard isGSO || choice & 2 != 0 else { return .none }
        packet.checksum = .partial
        let type =
            packet.isTCP
            ? (packet.isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4) : Offload.gsoUDP
        return Offload(
            flags: Offload.needsChecksum, gsoType: isGSO ? type : 0,
            headerByteCount: UInt16(choice),
            gsoSize: isGSO ? input.word() % (choice & 4 == 0 ? 1600 : 64) : 0,
            checksumStart: UInt16(packet.transportOffset),
            checksumOffset: packet.isTCP ? 16 : 6)
    }

    // MARK: From an underlay

    private func fromUnderlay(_ input: inout FuzzInput, _ operation: UInt8) {
        let place = input.below(3)
        let number = TunnelFuzzLab.underlayNumbers[place]
        guard let underlay = configuration.underlays.first(where: { $0.number == number }),
            let socket = underlay.underlay as? FuzzUnderlay
        else { return }
        var arrived: [Arrived] = []
        var datagramCount = 0
        var isOrderly = true
        for _ in 0..<1 + Int(operation >> 3 & 7) {
            let kinds: [Encapsulation] = [.vxlan, .geneve, .gre]
            let message = message(&input, kinds[place])
            socket.arrivals.append(message)
            isOrderly = isOrderly && message.segmentByteCount > 0
            let size = max(message.segmentByteCount, 1)
            datagramCount += max(1, (message.bytes.count + size - 1) / size)
            arrived += read(message, of: underlay)
        }
        let counted = counts(of: underlay)
        let messages = socket.arrivals.count
        precondition(serve(number, worker: underlay.worker) == messages)
        let after = counts(of: underlay)
        if isOrderly {
            precondition(after.frames - counted.frames <= UInt64(datagramCount))
            precondition(after.segments - counted.segments >= UInt64(datagramCount), "uncounted")
        }
        let changes = operation & 0xC0 == 0xC0
        if changes {
            checkOutputs(of: arrived)
            reconfigure(&input)
        }
        settle()
        checkOutputs(of: arrived)
    }

    private func counts(of underlay: UnderlayConfiguration) -> (frames: UInt64, segments: UInt64) {
        let numbers =
            configuration.tunnels.filter { $0.underlay == underlay.number }.map(\.number)
            + [underlay.number]
        return (
            numbers.reduce(0) { $0 + fabric.value(.received, port: $1) },
            numbers.reduce(0) { $0 + fabric.value(.receivedSegments, port: $1) }
        )
    }

    private func message(_ input: inout FuzzInput, _ usual: Encapsulation) -> FuzzUnderlay.Arrival {
        let shape = input.byte()
        let who = input.byte()
        let sources =
            TunnelFuzzLab.peers + [TunnelFuzzLab.local, UnderlayAddress(ipv4: 1)]
        let source = sources[who & 0xC0 == 0 ? Int(who & 7) % sources.count : Int(who & 1)]
        let encapsulation =
            shape & 0xC0 == 0xC0
            ? Encapsulation.allCases[input.below(4)]
            : usual == .gre && who & 1 == 1 ? .nvgre : usual
        // Now and then none, a probe's, and one that is nobody's.
        let vni = who & 0x38 == 0x38 ? UInt32(input.byte()) : 5000 + UInt32(who >> 3 & 3)
        var bytes = datagrams(shape, encapsulation, vni: vni, &input)
        var size = bytes.size
        if shape & 0x38 == 0x38 {
            let sizes = [0, 1, 9, 40, 65_535, -1, bytes.all.count, Int(Int32.max)]
            size = sizes[input.below(sizes.count)]
        }
        if shape & 0x30 == 0x20, !bytes.all.isEmpty {
            for _ in 0..<1 + input.below(4) {
                bytes.all[Int(input.word()) % min(bytes.all.count, 256)] = input.byte()
            }
        }
        return FuzzUnderlay.Arrival(
            bytes: bytes.all, segmentByteCount: size, source: source,
            isTruncated: who == 0x40)
    }

    /// Datagrams of one length, but for the last.
    private func datagrams(
        _ shape: UInt8, _ encapsulation: Encapsulation, vni: UInt32, _ input: inout FuzzInput
    ) -> (all: [UInt8], size: Int) {
        var packet = FuzzPacket(
            destination: TunnelFuzzLab.address(&input),
            // The network is in the source's address: what comes out in another is seen.
            source: 0x0200_0000_0100 | UInt64(vni & 0xFF) << 16 | UInt64(input.byte() & 3))
        var header = [UInt8](repeating: 0, count: Encapsulation.headerByteCount)
        header.withUnsafeMutableBytes {
            if let base = $0.baseAddress { encapsulation.write(vni: vni, flow: 7, to: base) }
        }
        let choice = input.byte()
        if shape & 7 == 7 {
            let all = header + input.bytes(Int(choice))
            return (all, all.count)
        }
        packet.isIPv6 = choice & 1 != 0
        packet.isTCP = choice & 6 != 6
        if choice & 0x30 == 0x30 { packet.tags = [0x8100_0000 | UInt32(input.byte()) << 8] }
        if choice & 8 != 0 { packet.checksum = .partial }
        packet.sequenceNumber = UInt32(choice >> 6) << 30
        let data = Int(input.word()) % (choice & 0xF0 == 0xF0 ? 40_000 : 1400)
        packet.dataByteCount = data
        var all: [UInt8] = []
        let count = 1 + Int(shape & 7) * (choice & 0x40 == 0 ? 1 : 7)
        var size = 0
        for place in 0..<count {
            if place == count - 1 { packet.dataByteCount = data * (Int(choice >> 4) + 1) / 16 }
            packet.flags = place == count - 1 ? 0x18 : 0x10
            let bytes = packet.bytes
            if all.count + header.count + bytes.count > DatagramBatch.bufferByteCount { break }
            all += header
            all += bytes
            if place == 0 { size = all.count }
            packet.sequenceNumber &+= UInt32(packet.dataByteCount)
        }
        return (all, size)
    }
}
