import Foundation

/// What a switch with virtual machines costs while nothing happens.
struct VhostIdleRow: Row {
    private static let ports = 8
    private let cpu = Line(
        id: "vhost-idle-cpu", what: "idle CPU, \(ports) connected vhost-user ports", against: nil,
        unit: "% of a core", isMoreBetter: false, goal: .atMost(floor: 2, aim: 0.5),
        how: "run time of all threads (/proc/PID/task/*/schedstat) over ten seconds; a switch that "
            + "polls takes 100 %")
    private let memory = Line(
        id: "vhost-idle-rss", what: "resident memory, \(ports) connected vhost-user ports",
        against: nil, unit: "MiB", isMoreBetter: false, goal: .atMost(floor: 100, aim: 60),
        how: "VmRSS less RssShmem, which is the guests' memory, after ten idle seconds")

    var lines: [Line] { [cpu, memory] }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.withRig(of: bench.heddleVhost, guests: Guests.Setup(ports: Self.ports)) { rig in
            // The ports' coming up is no idleness.
            sleep(2)
            let share = try CPUTime.share(of: rig.processes, over: 10)
            let resident = try rig.processes.map {
                try CPUTime.residentMebibytes(of: $0, withoutShared: true)
            }
            return [
                Finding(cpu, value: share * 100),
                Finding(memory, value: resident.reduce(0, +)),
            ]
        }
    }
}
