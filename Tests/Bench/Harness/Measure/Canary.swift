import CLinux

/// How fast the machine was at a moment: what a fixed piece of work took, in nanoseconds for each
/// core. If that has changed from before a trial to after it, so has the machine, and the pair says
/// nothing.
struct Canary: Codable, Sendable {
    /// A null system call: getppid, which the C library does not cache.
    let systemCall: [Double]
    /// A copy of 64 KiB.
    let copy: [Double]

    /// How far this one is from another: 0.1 when some figure is 10 % above the other's.
    func distance(from other: Canary) -> Double {
        let pairs = Array(zip(systemCall, other.systemCall)) + Array(zip(copy, other.copy))
        return pairs.map { max($0 / $1, $1 / $0) - 1 }.max() ?? 0
    }
}

/// Takes canaries: on all cores at once, each on its own, since system calls and copies are what a
/// switch's time consists of.
///
/// Of 21 repetitions of half a millisecond to a millisecond the median counts, which a few interrupts
/// do not move but a neighbour that takes half the core does. The buffers are the same for the whole
/// run, because which physical pages they get decides about a third of a copy's time. Before it
/// begins, what the trial left behind (closing sockets, timers) gets a moment to end.
final class CanaryProbe {
    private let cores: [Int]
    private let buffers: [UnsafeMutableRawPointer]

    private static let copySize = 65536
    private static let repetitions = 21

    init(cores: [Int]) {
        self.cores = cores
        buffers = cores.map { _ in
            let size = 2 * Self.copySize
            let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
            buffer.initializeMemory(as: UInt8.self, repeating: 1, count: size)
            return buffer
        }
    }

    deinit {
        for buffer in buffers { buffer.deallocate() }
    }

    func take() throws -> Canary {
        usleep(20_000)
        let results = try Placement.onEach(of: cores) { index in
            let buffer = buffers[index]
            let calls = time(count: 4000) { _ = getppid() }
            let copies = time(count: 1000) {
                memcpy(buffer + Self.copySize, buffer, Self.copySize)
            }
            return (calls, copies)
        }
        return Canary(systemCall: results.map(\.0), copy: results.map(\.1))
    }

    /// Nanoseconds that one execution takes.
    private func time(count: Int, _ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        let times = (0..<Self.repetitions).map { _ in
            let duration = clock.measure { for _ in 0..<count { body() } }
            return Double(duration.components.attoseconds) / 1e9 / Double(count)
        }
        return Statistics.median(times)
    }
}
