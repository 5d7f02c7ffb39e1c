import Dataplane
import GateHooks

/// A worker between ports in memory, on the calling thread.
///
/// The flight recorder is on, as it is in a switch. Measured are the worker's rounds, the clock reading
/// that a forwarding thread does in each of them included; putting the frames into the ports is not.
/// What the switch transmits is counted and forgotten.
enum MemoryRun {
    /// Rounds before the measurement: every slot has then held a super-frame, every table its size.
    private static let warmUpBursts = TrafficMix.burstCount * 8

    static func measure(frames: UInt64, plant: PlantingPort.Plant?) -> Finding {
        let mix = TrafficMix()
        let fabric = Fabric(portCapacity: 64, domainCapacity: 16, fdbCapacity: 512, seed: 7)
        let ports = (0..<TrafficMix.portCount).map {
            MemoryPort(
                offloads: $0 == 14 ? .all : [], depth: Burst.capacity,
                slotByteCount: $0 == 14 ? 65_600 : 2048, keepsOutput: false)
        }
        let planting = PlantingPort(ports[0])
        _ = fabric.publish(configuration(ports, first: plant != nil ? planting : ports[0]))
        var worker = Worker(fabric: fabric, index: 0)
        var window = Window()
        var time = Window.now()

        announce(ports, to: &worker)
        // Every slot's pages, as a burst of super-frames touches them.
        touchSlots(mix, ports[14], &worker)
        var fresh: UInt64 = 0
        run(
            bursts: warmUpBursts, mix, ports, &worker, &window, fresh: &fresh, time: &time,
            isMeasured: false)
        run(
            bursts: TrafficMix.burstCount, mix, ports, &worker, &window, fresh: &fresh,
            time: &time, isMeasured: false)
        if let plant { planting.arm(plant) }
        let before = received(fabric)
        let bursts = Int(frames / UInt64(Burst.capacity))
        window.openFaults()
        run(
            bursts: bursts, mix, ports, &worker, &window, fresh: &fresh, time: &time,
            isMeasured: true)
        window.closeFaults()
        let measured = received(fabric) - before
        let faults = faults(
            fabric, measured: measured, expected: UInt64(bursts * Burst.capacity))
        return Finding(
            mode: "memory", frames: measured, bursts: UInt64(bursts), window: window,
            faults: faults)
    }

    private static func run(
        bursts: Int, _ mix: borrowing TrafficMix, _ ports: [MemoryPort], _ worker: inout Worker,
        _ window: inout Window, fresh: inout UInt64, time: inout UInt64, isMeasured: Bool
    ) {
        for number in 0..<bursts {
            let plan = mix.bursts[number % TrafficMix.burstCount]
            feed(plan, of: mix, into: ports[Int(plan.port)], fresh: &fresh)
            if isMeasured { window.open() }
            time = Window.now()
            _ = worker.beginRound(time: time)
            _ = worker.serve(port: plan.port)
            _ = worker.endRound()
            if isMeasured {
                window.close()
                if number % TrafficMix.burstCount == TrafficMix.burstCount - 1 {
                    window.endSlice(frames: TrafficMix.burstCount * Burst.capacity)
                }
            }
        }
    }

    private static func feed(
        _ plan: TrafficMix.BurstPlan, of mix: borrowing TrafficMix, into port: MemoryPort,
        fresh: inout UInt64
    ) {
        for item in mix.items[plan.first..<plan.first + Burst.capacity] {
            mix.bytes.withUnsafeBytes { bytes in
                let frame = UnsafeRawBufferPointer(
                    rebasing: bytes[item.start..<item.start + item.byteCount])
                guard item.hasFreshSource else {
                    precondition(port.put(frame, offload: item.offload))
                    return
                }
                withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { copy in
                    copy.copyMemory(from: frame)
                    fresh += 1
                    copy.storeBytes(
                        of: UInt32(truncatingIfNeeded: fresh).bigEndian, toByteOffset: 7,
                        as: UInt32.self)
                    precondition(port.put(UnsafeRawBufferPointer(copy), offload: item.offload))
                }
            }
        }
    }

    /// Each host is heard once, so that it is known.
    private static func announce(_ ports: [MemoryPort], to worker: inout Worker) {
        for number in 0..<TrafficMix.portCount {
            for domain in 1...2 as ClosedRange<UInt16> {
                var frame = [UInt8](repeating: 0xFF, count: 6)
                let address = TrafficMix.host(number, domain)
                for place in (0..<6).reversed() {
                    frame.append(UInt8(truncatingIfNeeded: address >> UInt64(8 * place)))
                }
                if number == 10 { frame += [0x81, 0, 0, UInt8(domain * 10)] }
                let belongs = number == 10 || (domain == 2) == (number == 8 || number == 9)
                guard belongs else { continue }
                frame += [0x88, 0xB5] + [UInt8](repeating: 0, count: 46)
                precondition(ports[Int(number)].put(frame))
                _ = worker.beginRound(time: Window.now())
                _ = worker.serve(port: number)
                _ = worker.endRound()
            }
        }
    }

    private static func touchSlots(
        _ mix: borrowing TrafficMix, _ port: MemoryPort, _ worker: inout Worker
    ) {
        guard let item = mix.items.first(where: { $0.offload.isGSO }) else { return }
        for _ in 0..<Burst.capacity {
            mix.bytes.withUnsafeBytes { bytes in
                precondition(
                    port.put(
                        UnsafeRawBufferPointer(
                            rebasing: bytes[item.start..<item.start + item.byteCount]),
                        offload: item.offload))
            }
        }
        _ = worker.serve(port: 14)
    }

    private static func configuration(
        _ ports: [MemoryPort], first: any Port
    ) -> DataplaneConfiguration {
        DataplaneConfiguration(
            domains: (1...3).map { DomainConfiguration(number: $0, vid: $0 * 10) },
            ports: (0..<TrafficMix.portCount).map { number in
                let membership: PortConfiguration.Membership =
                    switch number {
                    case 8, 9: .access(domain: 2)
                    case 10: .trunk(domains: [1, 2], native: nil)
                    case 11: .trunk(domains: [1, 2, 3], native: 1)
                    default: .access(domain: 1)
                    }
                return PortConfiguration(
                    number: number, membership: membership,
                    isIsolated: number == 12 || number == 13,
                    port: number == 0 ? first : ports[Int(number)])
            }, recorder: FlightRecorder(workers: 1))
    }

    private static func received(_ fabric: Fabric) -> UInt64 {
        (0..<TrafficMix.portCount).reduce(0) { $0 + fabric.value(.received, port: $1) }
    }

    /// Whether the traffic was what the gate is about.
    private static func faults(_ fabric: Fabric, measured: UInt64, expected: UInt64) -> [String] {
        var faults: [String] = []
        if measured != expected { faults.append("\(measured) of \(expected) frames were switched") }
        func total(_ counter: PortCounter) -> UInt64 {
            (0..<TrafficMix.portCount).reduce(0) { $0 + fabric.value(counter, port: $1) }
        }
        for counter in [
            .forwarded, .flooded, .segmentedInSoftware, .checksummedInSoftware,
        ] as [PortCounter] where total(counter) == 0 {
            faults.append("no frame was counted as \(counter)")
        }
        for reason in [
            .runt, .invalidSource, .reservedAddress, .vlanNotAllowed, .tagOnAccess, .hairpin,
            .isolated,
        ] as [DropReason] {
            let count = (0..<TrafficMix.portCount).reduce(0) { $0 + fabric.value(reason, port: $1) }
            if count == 0 { faults.append("no frame was dropped as \(reason.name)") }
        }
        if total(.forwarded) < total(.received) / 10 * 9 {
            faults.append("less than nine tenths of the frames were forwarded")
        }
        let totals = fabric.fdb.totals
        if totals.moved == 0 || totals.evicted == 0 {
            faults.append("no address moved, or none was evicted")
        }
        return faults
    }
}
