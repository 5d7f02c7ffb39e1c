import CLinux

/// A fixed piece of work, done before and after each trial: if its time has changed, so has the
/// machine, and the pair says nothing.
///
/// On all cores at once, each on its own: null system calls (getppid, which the C library does not
/// cache) and copies of 64 KiB, the two things of which a switch's time consists. Of nine repetitions
/// of about a millisecond the median counts, which one interrupt does not move but a neighbour that
/// takes half the core does.
struct Canary: Codable, Sendable {
    /// Nanoseconds for each core.
    let systemCall: [Double]
    let copy: [Double]

    static func sing(on cores: [Int]) throws -> Canary {
        let songs = try Placement.onEach(of: cores) { _ in
            let source = UnsafeMutableRawPointer.allocate(byteCount: 65536, alignment: 64)
            let target = UnsafeMutableRawPointer.allocate(byteCount: 65536, alignment: 64)
            source.initializeMemory(as: UInt8.self, repeating: 1, count: 65536)
            target.initializeMemory(as: UInt8.self, repeating: 2, count: 65536)
            defer {
                source.deallocate()
                target.deallocate()
            }
            let calls = median(count: 2000) { _ = getppid() }
            let copies = median(count: 200) { memcpy(target, source, 65536) }
            return (calls, copies)
        }
        return Canary(systemCall: songs.map(\.0), copy: songs.map(\.1))
    }

    /// How far this one is from another: 0.1 when some figure is 10 % above the other's.
    func distance(from other: Canary) -> Double {
        let pairs = Array(zip(systemCall, other.systemCall)) + Array(zip(copy, other.copy))
        return pairs.map { max($0 / $1, $1 / $0) - 1 }.max() ?? 0
    }

    /// Nanoseconds that one execution takes.
    private static func median(count: Int, _ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        let times = (0..<9).map { _ in
            let duration = clock.measure { for _ in 0..<count { body() } }
            return Double(duration.components.attoseconds) / 1e9 / Double(count)
        }
        return Statistics.median(times)
    }
}
