import Dataplane
import Glibc
import Ports

/// The switch under measurement: the real worker between eight ports in memory.
///
/// Theory of operation
///
/// 1. Every address is announced once, so that it is known.
/// 2. *Digest, frame by frame*: for a fixed number of frames ``Forwarding`` is asked for the verdict
///    and then the worker switches the frame, in a burst of its own, so that the verdict is the one
///    that the worker carries out. Verdicts and transmitted bytes go into the digest.
/// 3. *Digest, burst by burst*: as many frames again in bursts of 64; transmitted bytes and all
///    counters go into the digest.
/// 4. *Time*: chunks of 64 bursts. A chunk's frames are made before its clock starts (they then lie
///    in the second-level cache, as frames do that a kernel has just written); then its rounds run:
///    beginRound, serve, endRound. The clock is the thread's CPU time; the result is the median of
///    the chunks, which neither a neighbour's burst of work nor a lucky chunk moves.
///
/// Time in the switch is made up, 6.4 µs a round, so that refreshing and ageing cost what they cost
/// at ten million frames per second, and the same in every run.
struct CoreRun: ~Copyable {
    static let burstsPerChunk = 64
    private static let nanosecondsPerRound: UInt64 = 6400

    private let fabric: Fabric
    private let ports: [CorePort]
    private var worker: Worker
    private var input: CoreInput
    private let wiring: UnsafeMutablePointer<CorePort.Wiring>
    private var time: UInt64 = 1_000_000_000_000

    init(macs: Int, records: Bool) {
        input = CoreInput(macs: macs, capacity: CoreRun.burstsPerChunk * Burst.capacity)
        let wiring = UnsafeMutablePointer<CorePort.Wiring>.allocate(capacity: 1)
        wiring.initialize(
            to: CorePort.Wiring(
                frames: input.frames, byteCounts: input.byteCounts, count: 0, isRecording: false,
                digest: CoreDigest()))
        self.wiring = wiring
        ports = (0..<CoreInput.portCount).map { CorePort(number: $0, wiring: wiring) }
        // The table's memory is the switch's: how large its pages are decides what a look-up costs.
        fabric = Fabric(portCapacity: 64, domainCapacity: 16, seed: 7, memory: MappedMemory())
        // Resident and in huge pages, as the C core's table is.
        fabric.fdb.setLimit(FDB.defaultCapacity)
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: [1, 2].map { DomainConfiguration(number: $0, vid: $0 * 10) },
                ports: ports.enumerated().map { number, port in
                    PortConfiguration(
                        number: UInt16(number),
                        membership: number < 6
                            ? .access(domain: CoreInput.domain(port: number, row: 0))
                            : .trunk(domains: [1, 2], native: nil),
                        port: port)
                }, recorder: records ? FlightRecorder(workers: 1) : nil))
        worker = Worker(fabric: fabric, index: 0)
        for index in 0..<macs {
            let port = input.makeAnnouncement(of: index)
            round(port: port, place: 0, count: 1)
        }
        precondition(fabric.fdb.learnedCount == macs, "not every address was learned")
    }

    deinit { wiring.deallocate() }

    /// One round of the worker with `count` frames from `place` on waiting at `port`.
    @inline(__always)
    private mutating func round(port: Int, place: Int, count: Int) {
        wiring.pointee.frames = input.frames + place * CoreInput.stride
        wiring.pointee.byteCounts = input.byteCounts + place
        wiring.pointee.count = count
        time &+= CoreRun.nanosecondsPerRound
        _ = worker.beginRound(time: time)
        _ = worker.serve(port: UInt16(truncatingIfNeeded: port))
        _ = worker.endRound()
    }

    // MARK: The digest

    /// Steps 2 and 3, with `count` frames each, rounded down to whole bursts.
    mutating func digest(frames count: Int) -> String {
        wiring.pointee.isRecording = true
        for _ in 0..<count / Burst.capacity {
            let port = input.makeBurst(at: 0, count: Burst.capacity)
            for place in 0..<Burst.capacity {
                addVerdict(place: place, port: port)
                round(port: port, place: place, count: 1)
            }
        }
        for _ in 0..<count / Burst.capacity {
            let port = input.makeBurst(at: 0, count: Burst.capacity)
            round(port: port, place: 0, count: Burst.capacity)
        }
        wiring.pointee.isRecording = false
        addCounters()
        return wiring.pointee.digest.text
    }

    /// Adds what the forwarding function says of a frame that is about to be switched.
    private mutating func addVerdict(place: Int, port: Int) {
        let ingress = UInt16(truncatingIfNeeded: port)
        let context = Forwarding.Context(
            snapshot: worker.snapshot, fdb: fabric.fdb, isOwner: true,
            now: Worker.tick(time + CoreRun.nanosecondsPerRound))
        withUnsafeTemporaryAllocation(byteCount: CoreInput.stride, alignment: 8) { copy in
            guard let start = copy.baseAddress else { return }
            start.copyMemory(
                from: input.frames + place * CoreInput.stride, byteCount: CoreInput.stride)
            var frame = Frame(
                bytes: start + SlotSize.vnetHeader, byteCount: Int(input.byteCounts[place]),
                offload: Offload(wire: start))
            let fault = Forwarding.normalise(&frame)
            guard fault == .none else {
                wiring.pointee.digest.add(UInt64(fault.rawValue))
                return
            }
            let verdict = Forwarding.decide(frame, ingress: ingress, in: context)
            wiring.pointee.digest.add(
                UInt64(verdict.reason.rawValue) | UInt64(verdict.action.rawValue) << 8
                    | UInt64(verdict.learning.rawValue) << 12 | UInt64(verdict.domain) << 16
                    | UInt64(verdict.egress) << 32 | UInt64(verdict.egressVID) << 48)
        }
    }

    private mutating func addCounters() {
        for port in 0..<UInt16(CoreInput.portCount) {
            for counter in PortCounter.allCases {
                wiring.pointee.digest.add(fabric.value(counter, port: port))
            }
            for reason in DropReason.allCases {
                wiring.pointee.digest.add(fabric.value(reason, port: port))
            }
        }
        for domain in 0...2 as ClosedRange<UInt16> {
            for counter in DomainCounter.allCases {
                wiring.pointee.digest.add(fabric.value(counter, domain: domain))
            }
            for reason in DropReason.allCases {
                wiring.pointee.digest.add(fabric.value(reason, domain: domain))
            }
        }
    }

    // MARK: The time

    /// Step 4, for about `seconds`.
    mutating func measure(seconds: Double) -> (nanosecondsPerFrame: Double, frames: Int) {
        let framesPerChunk = CoreRun.burstsPerChunk * Burst.capacity
        let end = CoreRun.clock(CLOCK_MONOTONIC) + UInt64(seconds * 1e9)
        var chunks: [UInt64] = []
        while CoreRun.clock(CLOCK_MONOTONIC) < end {
            var ingress = 0
            for burst in 0..<CoreRun.burstsPerChunk {
                let port = input.makeBurst(at: burst * Burst.capacity, count: Burst.capacity)
                if burst == 0 { ingress = port }
            }
            let start = CoreRun.clock(CLOCK_THREAD_CPUTIME_ID)
            for burst in 0..<CoreRun.burstsPerChunk {
                round(port: ingress, place: burst * Burst.capacity, count: Burst.capacity)
                ingress = (ingress + 1) % CoreInput.portCount
            }
            chunks.append(CoreRun.clock(CLOCK_THREAD_CPUTIME_ID) - start)
        }
        guard !chunks.isEmpty else { return (0, 0) }
        chunks.sort()
        return (
            Double(chunks[chunks.count / 2]) / Double(framesPerChunk),
            chunks.count * framesPerChunk
        )
    }

    private static func clock(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
