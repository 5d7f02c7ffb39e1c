// The input as a small switch and what happens to it: ports and their membership, then frames with
// their offload headers, time, commands to the FDB and new configurations. After each step the
// whole switch is held to what it promises: every frame accounted for, none to where it came from
// or to another tenant, tags and sizes right, the FDB's table and lists one, no frame slot lost.
//
// One switch serves all executions and is made empty before each, so that nothing depends on what
// ran before; building one takes longer than an execution.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzForwarding(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    guard byteCount >= 12 else { return 0 }
    lab.execute(FuzzInput(data, byteCount))
    return 0
}

nonisolated(unsafe) private let lab = FuzzLab()

private final class FuzzLab {
    static let portCapacity = 8
    static let domainCount: UInt16 = 3
    /// MTUs small enough that an input can exceed them.
    static let mtus: [UInt32] = [0, 1500, 100, 400]
    static let startTime: UInt64 = 1_000_000_000_000

    private let fabric = Fabric(
        portCapacity: portCapacity, domainCapacity: 8, fdbCapacity: 512, seed: 1)
    private var worker: Worker
    /// By port number and kind of offloads.
    private let attachments: [[MemoryPort]]
    private static let offloadKinds: [OffloadSet] = [
        [], [.checksum], [.checksum, .tso4], .all, [.tso4, .tso6, .uso],
    ]
    private var configurations: [PortConfiguration?] = []
    private var time = FuzzLab.startTime
    private var capture: CaptureTap?
    private let recorder = FlightRecorder(workers: 1, recordCount: 64)

    init() {
        worker = Worker(fabric: fabric, index: 0)
        attachments = (0..<FuzzLab.portCapacity).map { _ in
            FuzzLab.offloadKinds.map { MemoryPort(offloads: $0, depth: 128, slotByteCount: 4096) }
        }
    }

    func execute(_ start: FuzzInput) {
        var input = start
        reset()
        let count = 2 + input.below(5)
        configurations = (0..<FuzzLab.portCapacity).map {
            $0 < count ? port(UInt16($0), &input) : nil
        }
        publish()
        var steps = 0
        while !input.isEmpty, steps < 48 {
            steps += 1
            step(&input)
            checkCounters()
        }
        checkTable()
        precondition(worker.pool.available + worker.burst.limit == worker.pool.capacity)
    }

    /// As a switch that was just made, but for counters and generation.
    private func reset() {
        time = FuzzLab.startTime
        capture = nil
        command(.flush(FDB.FlushPattern(includesStatic: true)))
        let fdb = fabric.fdb
        precondition(fdb.learnedCount == 0 && fdb.staticCount == 0)
        for number in 0..<FuzzLab.portCapacity { _ = fdb.setLimit(.max, port: UInt16(number)) }
        fdb.setLimit(512)
        fdb.setAgeing(ticks: FDB.defaultAgeingTicks)
        fdb.state.pointee.sweepCursor = 0
        fdb.state.pointee.sweepTick = Worker.tick(time)
        fabric.reclaim()
    }

    // MARK: Configuration

    private func port(_ number: UInt16, _ input: inout FuzzInput) -> PortConfiguration {
        let shape = input.byte()
        let flags = input.byte()
        let membership: PortConfiguration.Membership
        if shape & 1 == 0 {
            membership = .access(domain: UInt16(shape >> 1) % FuzzLab.domainCount + 1)
        } else {
            let domains = (1...FuzzLab.domainCount).filter { shape & (1 << UInt8($0)) != 0 }
            let native = shape & 0x10 != 0 ? domains.randomElement(from: shape >> 5) : nil
            membership = .trunk(domains: domains, native: native)
        }
        return PortConfiguration(
            number: number, membership: membership, isUp: flags & 0x18 != 0x18,
            isIsolated: flags & 1 != 0, isSticky: flags & 6 == 6,
            port: attachments[Int(number)][Int(flags >> 5) % FuzzLab.offloadKinds.count])
    }

    private func publish() {
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: (1...FuzzLab.domainCount).map {
                    DomainConfiguration(number: $0, vid: $0 * 10, mtu: FuzzLab.mtus[Int($0)])
                }, ports: configurations.compactMap { $0 }, captures: capture.map { [$0] } ?? [],
                recorder: recorder))
        _ = worker.beginRound(time: time)
    }

    // MARK: Steps

    private func step(_ input: inout FuzzInput) {
        let operation = input.byte()
        switch operation & 0x0F {
        case 0...8: frame(&input, kind: Int(operation & 0x0F), copies: 1 + Int(operation >> 6))
        case 9:
            time += UInt64(input.byte()) * (operation & 0x10 == 0 ? 100_000_000 : 20_000_000_000)
        case 10:
            let port = UInt16(input.below(FuzzLab.portCapacity))
            command(.addStatic(key(&input), port: port))
        case 11: command(.delete(key(&input)))
        case 12: flush(&input)
        case 13:
            if operation & 0x10 == 0 {
                let port = UInt16(input.below(FuzzLab.portCapacity))
                command(.setPortLimit(UInt32(input.below(4)), port: port))
            } else {
                fabric.fdb.setLimit(input.below(8))
            }
        case 14:
            let number = input.below(FuzzLab.portCapacity)
            configurations[number] = operation & 0x30 == 0 ? nil : port(UInt16(number), &input)
            publish()
        default:
            if operation & 0x10 == 0 {
                fabric.fdb.setAgeing(ticks: UInt32(input.byte()))
            } else {
                let ports = Set(
                    (0..<UInt16(FuzzLab.portCapacity)).filter { operation >> $0 & 1 == 1 })
                let kind = input.byte()
                capture = CaptureTap(
                    ports: kind & 8 == 0 ? ports : nil,
                    points: CaptureTap.Points(rawValue: kind & 7), filter: program(&input),
                    snapLength: Int(input.byte()) * 16,
                    samplingInterval: UInt32(kind >> 4), workers: 1,
                    portCapacity: FuzzLab.portCapacity, ringByteCount: 4096)
                publish()
            }
        }
        _ = worker.beginRound(time: time)
    }

    /// Any instructions at all; most are none that a filter may have.
    private func program(_ input: inout FuzzInput) -> FilterProgram? {
        let count = input.below(6)
        return FilterProgram(
            (0..<count).map { _ in
                FilterProgram.Instruction(
                    code: UInt16(input.byte()), jumpTrue: input.byte() & 3,
                    jumpFalse: input.byte() & 3, constant: UInt32(input.byte()))
            } + [FilterProgram.Instruction(code: 6, jumpTrue: 0, jumpFalse: 0, constant: 1)])
    }

    private func command(_ operation: FDBCommand.Operation) {
        fabric.links[0].send(FDBCommand(operation))
        repeat { _ = worker.beginRound(time: time) } while worker.endRound()
    }

    private func key(_ input: inout FuzzInput) -> FDBKey {
        FDBKey(
            domain: 1 + UInt16(input.below(Int(FuzzLab.domainCount))), address: address(&input))
    }

    private func flush(_ input: inout FuzzInput) {
        let which = input.byte()
        var pattern = FDB.FlushPattern(includesStatic: which & 8 != 0)
        if which & 1 != 0 { pattern.port = UInt16(input.below(FuzzLab.portCapacity)) }
        if which & 2 != 0 { pattern.domain = 1 + UInt16(input.below(3)) }
        if which & 4 != 0 { pattern.address = address(&input) }
        command(.flush(pattern))
        for entry in fabric.fdb.entries(now: Worker.tick(time)) {
            precondition(
                entry.kind == .static && !pattern.includesStatic
                    || pattern.port.map { $0 != entry.port } ?? false
                    || pattern.domain.map { $0 != entry.key.domain } ?? false
                    || pattern.address.map { $0 != entry.key.address.rawValue } ?? false,
                "an entry outlived its flush")
        }
    }

    /// One of a few hosts, mostly.
    private func address(_ input: inout FuzzInput) -> UInt64 {
        let byte = input.byte()
        switch byte {
        case 0xFF: return 0xFFFF_FFFF_FFFF
        case 0xFE: return 0x0180_C200_0000 | UInt64(input.byte())
        case 0xFD: return 0x0100_5E00_0000 | UInt64(input.byte())
        case 0xFC: return 0
        default: return 0x0200_0000_0000 | UInt64(byte & 0x1F)
        }
    }

    // MARK: Frames

    private func frame(_ input: inout FuzzInput, kind: Int, copies: Int) {
        let number = input.below(FuzzLab.portCapacity)
        guard let ingress = configurations[number] else { return }
        var bytes: [UInt8] = []
        var offload = Offload.none
        if kind == 0 {
            bytes = input.bytes(Int(input.byte()))
            if !bytes.isEmpty, bytes[0] & 4 != 0 { offload = raw(&input) }
        } else {
            append(address(&input), 6, to: &bytes)
            append(address(&input), 6, to: &bytes)
            let tag = input.byte()
            if tag & 1 != 0 {
                let vids: [UInt64] = [0, 10, 20, 30, 40, 0xFFF, 10, 20]
                append(
                    0x8100_0000 | UInt64(tag & 0xF0) << 8 | vids[Int(tag >> 1 & 7)], 4, to: &bytes)
            }
            (bytes, offload) = payload(kind, bytes, &input)
        }
        for _ in 0..<input.below(4) {
            let place = input.below(80)
            if place < bytes.count { bytes[place] = input.byte() }
        }
        guard let attachment = ingress.port as? MemoryPort else { return }
        for _ in 0..<copies { precondition(attachment.put(bytes, offload: offload)) }
        let flooded = fabric.value(.flooded, port: ingress.number)
        let received = fabric.value(.received, port: ingress.number)
        _ = worker.serve(port: ingress.number)
        _ = worker.endRound()
        precondition(fabric.value(.received, port: ingress.number) == received + UInt64(copies))
        checkOutputs(
            of: bytes, ingress: ingress,
            hasFlooded: fabric.value(.flooded, port: ingress.number) != flooded)
    }

    private func raw(_ input: inout FuzzInput) -> Offload {
        var header = input.bytes(Offload.wireByteCount)
        while header.count < Offload.wireByteCount { header.append(0) }
        return header.withUnsafeBytes { bytes in
            bytes.baseAddress.map { Offload(wire: $0) } ?? .none
        }
    }

    /// What follows the addresses and tag: an opaque payload, or a packet that wants something.
    private func payload(
        _ kind: Int, _ head: [UInt8], _ input: inout FuzzInput
    ) -> ([UInt8], Offload) {
        var bytes = head
        let isIPv6 = kind == 6 || kind == 8
        let isTCP = kind == 5 || kind == 6
        guard kind >= 4 else {
            append(0x88B5, 2, to: &bytes)
            bytes += [UInt8](repeating: 0xAA, count: Int(input.word()) % 1700)
            return (bytes, .none)
        }
        let data = Int(input.word()) % 3000
        let transport = (isTCP ? 20 : 8) + data
        append(isIPv6 ? 0x86DD : 0x0800, 2, to: &bytes)
        if isIPv6 {
            append(0x6000_0000, 4, to: &bytes)
            append(UInt64(transport) << 16 | (isTCP ? 0x0640 : 0x1140), 4, to: &bytes)
            bytes += [UInt8](repeating: 0xFD, count: 32)
        } else {
            append(0x4500_0000 | UInt64(transport + 20), 4, to: &bytes)
            append(0x0000_4000, 4, to: &bytes)
            append(isTCP ? 0x4006_0000 : 0x4011_0000, 4, to: &bytes)
            append(0x0A00_0001_0A00_0002, 8, to: &bytes)
        }
        let start = bytes.count
        append(0x1234_5678, 4, to: &bytes)
        if isTCP {
            append(0x0000_0001_0000_0001, 8, to: &bytes)
            append(0x5018_FFFF_0000_0000, 8, to: &bytes)
        } else {
            append(UInt64(transport) << 16, 4, to: &bytes)
        }
        bytes += [UInt8](repeating: 0x55, count: data)
        let choice = input.byte()
        if choice == 0xFF { return (bytes, raw(&input)) }
        let isGSO = kind != 4 && choice & 1 != 0
        let type =
            isTCP ? (isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4) : Offload.gsoUDP
        return (
            bytes,
            Offload(
                flags: choice & 2 != 0 && !isGSO ? 0 : Offload.needsChecksum,
                gsoType: isGSO ? type | (choice & 4 != 0 ? Offload.gsoECN : 0) : 0,
                headerByteCount: UInt16(choice), gsoSize: isGSO ? input.word() % 2000 : 0,
                checksumStart: UInt16(start), checksumOffset: isTCP ? 16 : 6)
        )
    }

    private func append(_ value: UInt64, _ byteCount: Int, to bytes: inout [UInt8]) {
        for place in (0..<byteCount).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place)))
        }
    }

    // MARK: Checks

    private func checkOutputs(of sent: [UInt8], ingress: PortConfiguration, hasFlooded: Bool) {
        let original = ReferenceModel.split(sent)
        let domain = original.flatMap { ReferenceModel.domain(tci: $0.tci, at: ingress) }
        var reached = 0
        for number in 0..<FuzzLab.portCapacity {
            for attachment in attachments[number] {
                var count = 0
                while let (bytes, offload) = attachment.take() {
                    count += 1
                    guard let original, let domain, let egress = configurations[number],
                        let result = ReferenceModel.split(bytes)
                    else { preconditionFailure("a frame came out that had no domain or no port") }
                    precondition(egress.port === attachment, "to a port that was replaced")
                    precondition(number != Int(ingress.number), "out of the port it came from")
                    precondition(ingress.isUp && egress.isUp, "through a port that is down")
                    precondition(
                        !(ingress.isIsolated && egress.isIsolated), "between isolated ports")
                    check(result, offload, of: original, domain: domain, at: egress)
                }
                if count > 0 { reached += 1 }
            }
        }
        precondition(reached <= 1 || hasFlooded, "more than one port without a flood")
    }

    private func check(
        _ result: (canonical: [UInt8], tci: UInt16?), _ offload: Offload,
        of original: (canonical: [UInt8], tci: UInt16?), domain: UInt16,
        at egress: PortConfiguration
    ) {
        let (untagged, tagged) = ReferenceModel.memberships(egress)
        if untagged == domain {
            // A tag that is left is the payload's own.
            precondition(
                result.tci == nil || original.canonical[12] == 0x81, "tagged for no reason")
        } else {
            precondition(tagged.contains(domain), "to a port that is no member")
            precondition(
                result.tci == (original.tci ?? 0) & 0xF000 | (domain * 10), "the wrong tag")
        }
        let accepted = egress.port.offloads
        precondition(!offload.needsChecksum || accepted.contains(.checksum))
        let payload = untagged == domain && result.tci != nil ? 4 : 0
        if offload.isGSO {
            precondition(accepted.accepts(offload))
        } else {
            precondition(
                result.canonical.count + payload - 14 <= FuzzLab.mtus[Int(domain)], "too long")
        }
        precondition(result.canonical[..<12] == original.canonical[..<12])
    }

    private func checkCounters() {
        for number in 0..<UInt16(FuzzLab.portCapacity) {
            var ingress: UInt64 = 0
            var egress: UInt64 = 0
            for reason in DropReason.allCases {
                let count = fabric.value(reason, port: number)
                if reason.isEgress { egress += count } else { ingress += count }
            }
            precondition(
                fabric.value(.received, port: number)
                    == fabric.value(.forwarded, port: number) + fabric.value(.flooded, port: number)
                    + fabric.value(.consumed, port: number) + ingress, "lost at ingress")
            precondition(
                fabric.value(.copies, port: number)
                    == fabric.value(.transmitted, port: number) + egress, "lost at egress")
        }
    }

    /// The FDB's table, lists and counts say the same.
    private func checkTable() {
        let fdb = fabric.fdb
        var learned = 0
        var fixed = 0
        for index in 0..<fdb.capacity {
            let key = fdb.slots[index].key.load(ordering: .relaxed)
            guard key != 0 else { continue }
            precondition(fdb.find(key) == index, "an entry that cannot be found")
            if fdb.kind(at: index) == .static { fixed += 1 } else { learned += 1 }
        }
        precondition(learned == fdb.learnedCount && fixed == fdb.staticCount)
        var listed = 0
        for port in 0..<FuzzLab.portCapacity {
            var previous = FDB.none
            var index = fdb.lists[port].head
            var count = 0
            while index >= 0 {
                precondition(Int(fdb.port(at: Int(index))) == port, "listed at another port")
                precondition(fdb.links[Int(index)].previous == previous)
                previous = index
                index = fdb.links[Int(index)].next
                count += 1
                precondition(count <= learned, "a list without an end")
            }
            precondition(fdb.lists[port].tail == previous)
            precondition(count == Int(fdb.lists[port].count) && count <= fdb.lists[port].limit)
            listed += count
        }
        precondition(listed == learned)
    }
}

extension Array {
    /// The element that a number picks; nil of an empty array.
    fileprivate func randomElement(from number: UInt8) -> Element? {
        isEmpty ? nil : self[Int(number) % count]
    }
}
