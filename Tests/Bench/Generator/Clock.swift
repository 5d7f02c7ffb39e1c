import Glibc

/// Nanoseconds of the kernel's clocks.
///
/// Schedules are kept on the monotonic clock; time stamps in frames are on the real-time clock,
/// because the kernel stamps received frames with that. The distance of the two is read once per
/// run: should somebody set the clock meanwhile, latencies mean nothing, and `wasSet` tells.
struct Clock: Sendable {
    /// What to add to a monotonic time to get real time.
    let toRealTime: Int64

    init() { toRealTime = Clock.distance() }

    @inline(__always)
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Whether real time has been stepped, by more than a microsecond-sized slew explains.
    var wasSet: Bool { abs(Clock.distance() - toRealTime) > 100_000 }

    func realTime(of monotonic: UInt64) -> UInt64 { UInt64(Int64(monotonic) + toRealTime) }

    /// Sleeps until a monotonic time; returns at once when it has passed.
    static func sleep(until time: UInt64) {
        var request = timespec(
            tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &request, nil) == EINTR {}
    }

    /// Waits for a monotonic time to within a fraction of a microsecond: asleep as long as a timer's
    /// lateness allows, then awake.
    @inline(__always)
    static func wait(until time: UInt64) {
        let lateness: UInt64 = 150_000
        let now = now()
        if time > now + lateness { sleep(until: time - lateness) }
        while Clock.now() < time {}
    }

    @inline(__always)
    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The reading that was interrupted least, of several.
    private static func distance() -> Int64 {
        var best: (width: UInt64, distance: Int64) = (.max, 0)
        for _ in 0..<16 {
            let before = read(CLOCK_MONOTONIC)
            let real = read(CLOCK_REALTIME)
            let after = read(CLOCK_MONOTONIC)
            if after - before < best.width {
                best = (after - before, Int64(real) - Int64((before + after) / 2))
            }
        }
        return best.distance
    }
}
