import CLinux
import GateHooks
import Glibc

/// What the calling thread did between two moments.
struct Window {
    private(set) var allocations: UInt64 = 0
    private(set) var retains: UInt64 = 0
    private(set) var releases: UInt64 = 0
    private(set) var accesses: UInt64 = 0
    private(set) var nanoseconds: UInt64 = 0
    /// Of the fastest slice: what the code costs when nothing else runs. 0 without slices.
    private(set) var bestNanosecondsPerHundredFrames: UInt64 = 0
    private var sliceStart: UInt64 = 0
    /// Page faults that needed no reading from a disk.
    private(set) var pageFaults = 0
    private var start = gate_counts()
    private var startTime: UInt64 = 0
    private var startFaults = 0

    /// Begins to measure, or goes on after ``close()``.
    @inline(__always)
    mutating func open() {
        start = gate_counts_here()
        startTime = Window.now()
    }

    @inline(__always)
    mutating func close() {
        nanoseconds &+= Window.now() &- startTime
        let end = gate_counts_here()
        allocations &+= end.allocations &- start.allocations
        retains &+= end.retains &- start.retains
        releases &+= end.releases &- start.releases
        accesses &+= end.accesses &- start.accesses
    }

    /// Ends a slice of the run, which has the same frames in it as every other.
    mutating func endSlice(frames: Int) {
        let value = (nanoseconds - sliceStart) * 100 / UInt64(frames)
        sliceStart = nanoseconds
        if bestNanosecondsPerHundredFrames == 0 || value < bestNanosecondsPerHundredFrames {
            bestNanosecondsPerHundredFrames = value
        }
    }

    /// Page faults are counted over the whole of a run: asking for them costs a system call.
    mutating func openFaults() { startFaults = Window.faults() }
    mutating func closeFaults() { pageFaults += Window.faults() - startFaults }

    private static func faults() -> Int {
        gate_page_faults_here()
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

/// What a run found, and whether it may pass.
struct Finding {
    /// Retains, and as many releases, that a burst may cost, whatever number of frames and egress
    /// ports it has. A single one per frame would make at least as many as a burst has frames.
    static let retainsPerBurst: UInt64 = 4

    var mode: String
    var frames: UInt64
    var bursts: UInt64
    var window: Window
    /// What the run was to show and did not; empty when it is to be believed.
    var faults: [String]

    var passes: Bool { faults.isEmpty && excesses.isEmpty }

    /// What was done that must not be done, each as a sentence.
    var excesses: [String] {
        let bound = Finding.retainsPerBurst * bursts
        var excesses: [String] = []
        func check(_ count: UInt64, _ name: String, limit: UInt64, _ rule: String) {
            if count > limit {
                excesses.append("\(count) \(name) in \(frames) frames; there must be \(rule)")
            }
        }
        let perBurst = "\(Finding.retainsPerBurst) per burst at most"
        check(window.allocations, "allocations", limit: 0, "none")
        check(window.retains, "retains", limit: bound, perBurst)
        check(window.releases, "releases", limit: bound, perBurst)
        check(window.accesses, "exclusivity checks", limit: 0, "none")
        check(UInt64(window.pageFaults), "page faults", limit: 0, "none")
        return excesses
    }

    /// One line of JSON.
    var json: String {
        func perFrame(_ value: UInt64) -> String { hundredths(value, per: frames) }
        func perBurst(_ value: UInt64) -> String { hundredths(value, per: bursts) }
        // Only a run of equal slices has a best one.
        let best =
            window.bestNanosecondsPerHundredFrames == 0
            ? ""
            : ",\"bestNanosecondsPerFrame\":"
                + hundredths(window.bestNanosecondsPerHundredFrames, per: 100)
        return "{\"mode\":\"\(mode)\",\"frames\":\(frames),\"bursts\":\(bursts),"
            + "\"allocations\":\(window.allocations),"
            + "\"retainsPerBurst\":\(perBurst(window.retains)),"
            + "\"releasesPerBurst\":\(perBurst(window.releases)),"
            + "\"exclusivityChecks\":\(window.accesses),"
            + "\"pageFaults\":\(window.pageFaults),"
            + "\"nanosecondsPerFrame\":\(perFrame(window.nanoseconds))\(best),"
            + "\"passes\":\(passes)}"
    }

    private func hundredths(_ value: UInt64, per count: UInt64) -> String {
        let scaled = value * 100 / max(count, 1)
        return "\(scaled / 100).\(scaled % 100 < 10 ? "0" : "")\(scaled % 100)"
    }
}
