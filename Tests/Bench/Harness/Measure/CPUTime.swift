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
        let text = try String(contentsOfFile: "/proc/stat", encoding: .utf8)
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

    /// What a process has used so far, all its threads, in nanosecond resolution.
    static func ofProcess(_ process: pid_t) throws -> Double {
        let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
        return try tasks.reduce(0) { sum, task in
            let text = try String(
                contentsOfFile: "/proc/\(process)/task/\(task)/schedstat", encoding: .utf8)
            return sum + (text.split(separator: " ").first.flatMap { Double($0) } ?? 0) / 1e9
        }
    }

    /// Resident memory of a process in MiB.
    static func residentMebibytes(of process: pid_t) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        guard let kibibytes = line?.split(separator: " ").compactMap({ Double($0) }).first else {
            throw NotMeasured("/proc/\(process)/status says nothing of VmRSS")
        }
        return kibibytes / 1024
    }
}
