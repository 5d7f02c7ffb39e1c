import ControlAPI
import Glibc
import SystemPackage

/// Reads what the kernel accounts for this process, from /proc (proc(5)) and getrusage(2).
enum ProcessReading {
    /// Nil where /proc is not mounted.
    static func now() -> ProcessStats? {
        guard let statistics = text("/proc/self/stat"), let fields = fields(statistics),
            let memory = text("/proc/self/statm")?.split(separator: " "), memory.count > 1,
            let pages = UInt64(memory[0]), let resident = UInt64(memory[1])
        else { return nil }
        let pageSize = UInt64(sysconf(Int32(_SC_PAGESIZE)))
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return ProcessStats(
            cpuSeconds: cpuSeconds(), residentBytes: resident &* pageSize,
            virtualBytes: pages &* pageSize, openDescriptors: descriptorCount(),
            descriptorLimit: UInt64(limit.rlim_cur), threads: fields.threads,
            startTimeSeconds: bootTime() + fields.startSeconds)
    }

    /// Number of threads, and seconds from the machine's start to the process's: fields 20 and 22.
    /// Field 2, the program's name in parentheses, may hold anything, so counting begins behind it.
    static func fields(_ line: String) -> (threads: UInt64, startSeconds: Double)? {
        guard let end = line.lastIndex(of: ")") else { return nil }
        let rest = line[line.index(after: end)...].split(separator: " ")
        guard rest.count > 19, let threads = UInt64(rest[17]), let ticks = Double(rest[19]) else {
            return nil
        }
        return (threads, ticks / Double(sysconf(Int32(_SC_CLK_TCK))))
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// When the machine started, seconds since 1970.
    private static func bootTime() -> Double {
        let line = text("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst("btime ".count)) } ?? 0
    }

    private static func descriptorCount() -> UInt64 {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count: UInt64 = 0
        while readdir(folder) != nil { count += 1 }
        // The two dots, and the descriptor of the listing itself.
        return count > 3 ? count - 3 : 0
    }

    private static func text(_ path: String) -> String? {
        try? FileDescriptor.contents(ofFile: path)
    }
}
