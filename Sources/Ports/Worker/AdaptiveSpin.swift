/// Whether a worker that has run out of frames should ask again for a while before it sleeps.
///
/// Theory of operation
///
/// To sleep is cheap for the sleeper and dear for whoever wakes it: a wake-up of another core costs
/// the sender some microseconds, and the frame waits for tens. To ask again costs a core. So the
/// worker asks again only where that has paid: of the last eight gaps between frames at least two
/// were shorter than ``limit``. It then asks for ``limit`` nanoseconds at most; with no traffic
/// there are no gaps, and with traffic whose gaps are longer it sleeps at once.
///
/// Between two questions the worker yields its core. A yield that takes long means that another
/// thread was given the core. The worker then sleeps for the rest of the gap: the kernel gives a
/// sleeper the core back as soon as a frame comes, and one that yields only when its turn is.
///
/// Two in eight keeps request and response quick: the gap until the response is short, the one until
/// the next request is long. One thread; no clock of its own.
struct AdaptiveSpin {
    /// Nanoseconds of asking at most, for each gap: about what a wake-up takes on a virtual machine.
    static let limit: UInt64 = 100_000
    /// Nanoseconds that a yield takes at most when nobody else wants the core.
    static let contention: UInt64 = 20_000
    private static let wanted = 2

    /// The last eight gaps, one bit each: whether it was short.
    private var history: UInt8 = 0
    private var gapStart: UInt64 = 0
    private var isInGap = false
    private var hasGivenUp = false

    /// A round at `time` found frames.
    mutating func foundFrames(at time: UInt64) {
        guard isInGap else { return }
        isInGap = false
        history = history << 1 | (time &- gapStart <= AdaptiveSpin.limit ? 1 : 0)
    }

    /// A round at `time` found nothing: whether to yield and ask again instead of sleeping.
    mutating func shouldAskAgain(at time: UInt64) -> Bool {
        if !isInGap {
            isInGap = true
            hasGivenUp = false
            gapStart = time
        }
        guard history.nonzeroBitCount >= AdaptiveSpin.wanted, !hasGivenUp else { return false }
        return time &- gapStart < AdaptiveSpin.limit
    }

    /// The yield after a round at `time` returned at `now`.
    mutating func yielded(from time: UInt64, until now: UInt64) {
        if now &- time > AdaptiveSpin.contention { hasGivenUp = true }
    }
}
