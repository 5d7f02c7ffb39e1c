import CLinux
import Foundation

/// The CPU time of the whole machine since it booted, from /proc/stat.
///
/// Of the whole machine, because what a switch costs is not only paid by its process: a bridge works
/// in the sender's softirq, and a TAP's write runs the receiver's stack. The load's own work is in
/// it, the same for both sides. Ticks are 10 ms: over a trial of a second on two cores, 0.5 %.
struct CPUTime: Sendable {
    /// Seconds in which a core was busy with work of ours: user, nice, system, irq, softirq.
    var busy: Double
    /// Seconds in which a core was ready to work but the hypervisor ran somebody else.
    var stolen: Double
    var total: Double

    static func now() throws -> CPUTime {
        let text = try KernelFile.read("/proc/stat")
        let ticks = text.prefix { $0 != "\n" }.split(separator: " ").compactMap { Double($0) }
        guard ticks.count >= 8 else { throw NotMeasured("/proc/stat has no line of eight numbers") }
        let second = Double(sysconf(Int32(_SC_CLK_TCK)))
        let busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]
        return CPUTime(
            busy: busy / second, stolen: ticks[7] / second,
            total: ticks[0..<8].reduce(0, +) / second)
    }

    static func - (later: CPUTime, earlier: CPUTime) -> CPUTime {
        CPUTime(
            busy: later.busy - earlier.busy, stolen: later.stolen - earlier.stolen,
            total: later.total - earlier.total)
    }

    /// The share of a core that processes use for so many seconds, all their threads, in nanosecond
    /// resolution. A thread that ends meanwhile takes what it used with it.
    static func share(of processes: [pid_t], over seconds: Double) throws -> Double {
        let before = try processes.map(ofThreads)
        usleep(useconds_t(seconds * 1e6))
        let after = try processes.map(ofThreads)
        let used = zip(before, after).reduce(0.0) { sum, process in
            sum + process.1.reduce(0) { $0 + $1.value - process.0[$1.key, default: 0] }
        }
        return used / seconds
    }

    /// What each thread of a process has used so far, in seconds, by its ID.
    private static func ofThreads(of process: pid_t) throws -> [String: Double] {
        let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
        return tasks.reduce(into: [:]) { result, task in
            // Gone since it was listed.
            guard let text = try? KernelFile.read("/proc/\(process)/task/\(task)/schedstat")
            else { return }
            result[task] = (text.split(separator: " ").first.flatMap { Double($0) } ?? 0) / 1e9
        }
    }

    /// Resident memory of a process in MiB, with the memory that it shares with others by
    /// descriptors or without it.
    static func residentMebibytes(
        of process: pid_t, withoutShared: Bool = false
    ) throws -> Double {
        let text = try KernelFile.read("/proc/\(process)/status")
        func kibibytes(_ name: String) throws -> Double {
            let line = text.split(separator: "\n").first { $0.hasPrefix("\(name):") }
            guard
                let value = line?.split(whereSeparator: \.isWhitespace)
                    .compactMap({ Double($0) }).first
            else { throw NotMeasured("/proc/\(process)/status says nothing of \(name)") }
            return value
        }
        return (try kibibytes("VmRSS") - (withoutShared ? kibibytes("RssShmem") : 0)) / 1024
    }
}
