import Wire

@testable import Dataplane

/// A switch of memory ports with one worker and a clock that stands until it is moved.
///
/// A class, because a worker is not copyable and tests pass the switch around.
final class TestSwitch {
    let fabric: Fabric
    private(set) var ports: [MemoryPort] = []
    private var configurations: [PortConfiguration] = []
    private var domains: [DomainConfiguration]
    private var worker: Worker
    var time: UInt64 = 1_000_000_000_000

    init(domains: [DomainConfiguration], fdbCapacity: Int = 1024) {
        self.domains = domains
        fabric = Fabric(
            portCapacity: 64, domainCapacity: 64, fdbCapacity: fdbCapacity, seed: 42)
        worker = Worker(fabric: fabric, index: 0)
    }

    /// Adds a port; its number is its place.
    @discardableResult
    func add(
        _ membership: PortConfiguration.Membership, isUp: Bool = true, isIsolated: Bool = false,
        isSticky: Bool = false, offloads: OffloadSet = [], depth: Int = 256,
        slotByteCount: Int = 2048
    ) -> UInt16 {
        let number = UInt16(ports.count)
        ports.append(MemoryPort(offloads: offloads, depth: depth, slotByteCount: slotByteCount))
        configurations.append(
            PortConfiguration(
                number: number, membership: membership, isUp: isUp, isIsolated: isIsolated,
                isSticky: isSticky, port: ports[Int(number)]))
        publish()
        return number
    }

    func publish(captures: [CaptureTap] = [], recorder: FlightRecorder? = nil) {
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: domains, ports: configurations, captures: captures, recorder: recorder))
    }

    func remove(_ port: UInt16) {
        configurations.removeAll { $0.number == port }
        publish()
    }

    func advance(seconds: Double) { time += UInt64(seconds * 1e9) }

    /// Runs rounds until no port has input left.
    func run() {
        for _ in 0..<10_000 {
            _ = worker.beginRound(time: time)
            var isBusy = false
            for configuration in configurations {
                if case .more = worker.serve(port: configuration.number) { isBusy = true }
            }
            if worker.endRound() { isBusy = true }
            if !isBusy { return }
        }
    }

    /// Sends one frame into a port and returns which ports it came out of, in order of number.
    func send(_ frame: [UInt8], into port: UInt16, offload: Offload = .none) -> [UInt16] {
        let accepted = ports[Int(port)].put(frame, offload: offload)
        precondition(accepted, "the port's input is full")
        run()
        return ports.indices.compactMap { ports[$0].take() == nil ? nil : UInt16($0) }
    }

    /// As ``send(_:into:offload:)``, returning the frames.
    func outputs(_ frame: [UInt8], into port: UInt16, offload: Offload = .none)
        -> [(port: UInt16, frame: [UInt8], offload: Offload)]
    {
        let accepted = ports[Int(port)].put(frame, offload: offload)
        precondition(accepted, "the port's input is full")
        run()
        var result: [(port: UInt16, frame: [UInt8], offload: Offload)] = []
        for index in ports.indices {
            while let (frame, offload) = ports[index].take() {
                result.append((UInt16(index), frame, offload))
            }
        }
        return result
    }

    func drops(_ reason: DropReason, port: UInt16) -> UInt64 {
        fabric.value(reason, port: port)
    }

    /// Runs an FDB command to its end.
    func command(_ operation: FDBCommand.Operation) {
        fabric.links[0].send(FDBCommand(operation))
        run()
    }

    func learnedPort(_ address: UInt64, domain: UInt16) -> UInt16? {
        fabric.fdb.lookup(
            FDBKey(domain: domain, address: address), now: Worker.tick(time), isOwner: true)?.port
    }
}

/// Addresses of test hosts: 02:00:00:00:00:NN.
func host(_ number: UInt64) -> UInt64 { 0x0200_0000_0000 | number }

let broadcast: UInt64 = 0xFFFF_FFFF_FFFF

/// An Ethernet frame with an opaque payload of EtherType 0x88B5 (local experimental).
func frame(
    to destination: UInt64, from source: UInt64, tag: UInt16? = nil, payload: Int = 46,
    mark: UInt32 = 0
) -> [UInt8] {
    var bytes: [UInt8] = []
    for address in [destination, source] {
        for shift in stride(from: 40, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: address >> UInt64(shift)))
        }
    }
    if let tag { bytes += [0x81, 0x00, UInt8(tag >> 8), UInt8(tag & 0xFF)] }
    bytes += [0x88, 0xB5]
    for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: mark >> UInt32(shift))) }
    bytes += [UInt8](repeating: 0xAA, count: max(0, payload - 4))
    return bytes
}
