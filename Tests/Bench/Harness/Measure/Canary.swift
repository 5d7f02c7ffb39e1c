import CLinux

/// How fast the machine was at a moment: the nanoseconds that a fixed piece of work took on each
/// core. If that has changed from before a trial to after it, so has the machine, and the pair says
/// nothing.
struct Canary: Codable, Sendable {
    let nanoseconds: [Double]

    /// How far this one is from another: 0.1 when all cores together took 10 % longer for one of them.
    /// Together, since on a hyper-threaded host each core alone switches between two speeds, some 14 %
    /// apart, as its unseen sibling comes and goes; few pairs would be left.
    func distance(from other: Canary) -> Double {
        let ratio = nanoseconds.reduce(0, +) / other.nanoseconds.reduce(0, +)
        return max(ratio, 1 / ratio) - 1
    }
}

/// Takes canaries: on all cores at once, each on its own, as many null system calls (getppid, which
/// the C library does not cache) as take about as long as the copies of 64 KiB that go with them; of
/// these two a switch's time consists.
///
/// Of 21 repetitions of about a millisecond the median counts, which a few interrupts do not move but
/// a neighbour that takes half the core does. The buffers are the same for the whole run, because
/// which physical pages they get decides about a third of a copy's time. Before it begins, what the
/// trial left behind (closing sockets, timers) gets a moment to end.
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
        return Canary(
            nanoseconds: try Placement.onEach(of: cores) { index in
                let buffer = self.buffers[index]
                let clock = ContinuousClock()
                let times = (0..<Self.repetitions).map { _ in
                    clock.measure {
                        for _ in 0..<4000 { _ = getppid() }
                        for _ in 0..<1000 {
                            memcpy(buffer + Self.copySize, buffer, Self.copySize)
                        }
                    }
                }
                return Statistics.median(
                    times.map { Double($0.components.attoseconds) / 1e9 })
            })
    }
}
