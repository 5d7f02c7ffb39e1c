import Foundation

/// What a switch with many ports costs while nothing happens.
struct IdleRow: Row {
    private let cpu = Line(
        id: "idle-cpu", what: "idle CPU, 256 ports", against: nil, unit: "% of a core",
        isMoreBetter: false, goal: .atMost(floor: 0.5, aim: 0.1),
        how: "run time of all threads (/proc/PID/task/*/schedstat) over ten seconds")
    private let memory = Line(
        id: "idle-rss", what: "resident memory, 256 ports", against: nil, unit: "MiB",
        isMoreBetter: false, goal: .atMost(floor: 100, aim: 60),
        how: "VmRSS after ten idle seconds")

    var lines: [Line] { [cpu, memory] }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.withRig(of: bench.heddle, ports: 256, sharing: true) { rig in
            // The ports' coming up is no idleness.
            sleep(2)
            let share = try CPUTime.share(of: rig.processes, over: 10)
            let resident = try rig.processes.map { try CPUTime.residentMebibytes(of: $0) }
            return [
                Finding(cpu, value: share * 100),
                Finding(memory, value: resident.reduce(0, +)),
            ]
        }
    }
}
