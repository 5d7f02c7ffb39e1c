import Synchronization

/// What is counted per port, besides drops.
package enum PortCounter: Int, CaseIterable, Sendable {
    /// Frames received; a super-frame is one.
    case received
    case receivedBytes
    /// Frames that the received ones stand for on a wire: segments counted apart.
    case receivedSegments
    /// Received frames by their end: each is forwarded, flooded, consumed or dropped.
    case forwarded
    case flooded
    case consumed
    /// Copies that were to leave by this port.
    case copies
    case transmitted
    case transmittedBytes
    case transmittedSegments
    /// Super-frames cut in software because the port's peer could not take them.
    case segmentedInSoftware
    /// Partial checksums completed in software.
    case checksummedInSoftware
}

/// What is counted per bridge domain, besides drops.
package enum DomainCounter: Int, CaseIterable, Sendable {
    case received
    case receivedBytes
    case receivedSegments
    case forwarded
    case flooded
    case copies
    case transmitted
    case transmittedBytes
    case transmittedSegments
    case consumed
}

/// One worker's counters: plain memory that the worker alone writes and any thread may read.
///
/// Each counter is a 64-bit word, written by a relaxed load and store (no locked instruction) and
/// summed over the workers by the reader; a reader may see one counter of a frame before another.
package final class Counters: @unchecked Sendable {
    // @unchecked: constant pointers to atomics.
    static let portStride = PortCounter.allCases.count + DropReason.allCases.count
    static let domainStride = DomainCounter.allCases.count + DropReason.allCases.count

    package let portCapacity: Int
    package let domainCapacity: Int
    private let ports: UnsafeMutablePointer<Atomic<UInt64>>
    private let domains: UnsafeMutablePointer<Atomic<UInt64>>
    private let heard: UnsafeMutablePointer<Atomic<UInt64>>

    package init(portCapacity: Int, domainCapacity: Int) {
        self.portCapacity = portCapacity
        self.domainCapacity = domainCapacity
        ports = Counters.allocate(portCapacity * Counters.portStride)
        domains = Counters.allocate(domainCapacity * Counters.domainStride)
        heard = Counters.allocate(portCapacity)
    }

    deinit {
        ports.deallocate()
        domains.deallocate()
        heard.deallocate()
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
        memory.initializeMemory(as: UInt64.self, repeating: 0, count: count)
        return memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    }

    @inline(__always)
    private static func add(_ amount: UInt64, to word: UnsafeMutablePointer<Atomic<UInt64>>) {
        word.pointee.store(word.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    @inline(__always)
    func add(_ amount: UInt64, _ counter: PortCounter, port: UInt16) {
        Counters.add(amount, to: ports + Int(port) * Counters.portStride + counter.rawValue)
    }

    @inline(__always)
    func add(_ amount: UInt64, _ counter: DomainCounter, domain: UInt16) {
        Counters.add(amount, to: domains + Int(domain) * Counters.domainStride + counter.rawValue)
    }

    /// Notes when a tunnel's far end was heard: monotonic nanoseconds.
    @inline(__always)
    func noteHeard(_ tunnel: UInt16, at time: UInt64) {
        heard[Int(tunnel)].store(time, ordering: .relaxed)
    }

    /// When a tunnel's far end was last heard, in monotonic nanoseconds; 0 for never.
    package func lastHeard(_ tunnel: UInt16) -> UInt64 {
        heard[Int(tunnel)].load(ordering: .relaxed)
    }

    /// Counts received frames of a domain.
    @inline(__always)
    func addReceived(_ tally: Worker.Tally, domain: UInt16) {
        add(tally.frames, .received, domain: domain)
        add(tally.bytes, .receivedBytes, domain: domain)
        add(tally.segments, .receivedSegments, domain: domain)
        add(tally.forwarded, .forwarded, domain: domain)
    }

    /// Counts the frames that a port received.
    @inline(__always)
    func addReceived(_ tally: Worker.Tally, port: UInt16) {
        add(tally.frames, .received, port: port)
        add(tally.bytes, .receivedBytes, port: port)
        add(tally.segments, .receivedSegments, port: port)
        add(tally.forwarded, .forwarded, port: port)
    }

    /// Counts copies of a domain that left the switch.
    @inline(__always)
    func addTransmitted(_ tally: Worker.Tally, domain: UInt16) {
        add(tally.frames, .transmitted, domain: domain)
        add(tally.bytes, .transmittedBytes, domain: domain)
        add(tally.segments, .transmittedSegments, domain: domain)
    }

    /// Counts a drop at its port, and at its domain if the frame had one.
    @inline(__always)
    func drop(_ reason: DropReason, port: UInt16, domain: UInt16, count: UInt64 = 1) {
        Counters.add(
            count,
            to: ports + Int(port) * Counters.portStride + PortCounter.allCases.count
                + Int(reason.rawValue))
        Counters.add(
            count,
            to: domains + Int(domain) * Counters.domainStride + DomainCounter.allCases.count
                + Int(reason.rawValue))
    }

    package func value(_ counter: PortCounter, port: UInt16) -> UInt64 {
        ports[Int(port) * Counters.portStride + counter.rawValue].load(ordering: .relaxed)
    }

    package func value(_ reason: DropReason, port: UInt16) -> UInt64 {
        ports[
            Int(port) * Counters.portStride + PortCounter.allCases.count + Int(reason.rawValue)
        ].load(ordering: .relaxed)
    }

    package func value(_ counter: DomainCounter, domain: UInt16) -> UInt64 {
        domains[Int(domain) * Counters.domainStride + counter.rawValue].load(ordering: .relaxed)
    }

    /// Drops in a domain; domain 0 counts frames that never got one.
    package func value(_ reason: DropReason, domain: UInt16) -> UInt64 {
        domains[
            Int(domain) * Counters.domainStride + DomainCounter.allCases.count
                + Int(reason.rawValue)
        ].load(ordering: .relaxed)
    }
}
