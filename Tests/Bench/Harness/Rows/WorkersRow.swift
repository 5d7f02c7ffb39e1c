/// Two workers against one, with four ports that send flat out at the same time.
///
/// Both sides may use both cores, which they share with the four senders: on a machine of two cores a
/// second worker can take over work but adds no core. What must hold on any machine is the order.
struct WorkersRow: Row {
    private let rate = Line(
        id: "workers-rate", what: "two workers against one, four busy ports", against: "one worker",
        unit: "kframes/s", isMoreBetter: true, goal: .none,
        how: "64 bytes, four senders flat out on the same two cores, every frame checked")
    private let order = Line(
        id: "workers-order", what: "frames out of order with two workers", against: nil,
        unit: "frames", isMoreBetter: false, goal: .atMost(floor: 0, aim: 0),
        how: "in all trials of workers-rate, within each of 16 flows")

    var lines: [Line] { [rate, order] }

    func measure(_ bench: Bench) throws -> [Finding] {
        func system(workers: Int) -> HeddleSystem {
            var system = bench.heddle
            system.name = "Heddle, \(workers) worker\(workers == 1 ? "" : "s")"
            system.workers = workers
            system.cores = bench.cores
            return system
        }
        let two = system(workers: 2)
        var reordered = 0
        var received = 0
        let findings = try bench.compare([rate], two, system(workers: 1), ports: 4) { rig in
            let ports = rig.ports
            let reports = try bench.flows(
                FrameLoad(flows: 4, checksFrames: true),
                [
                    (ports[0], ports[1]), (ports[1], ports[0]),
                    (ports[2], ports[3]), (ports[3], ports[2]),
                ], seconds: bench.seconds)
            if rig.system.name == two.name {
                reordered += reports.reduce(0) { $0 + ($1.reordered ?? 0) }
                received += reports.reduce(0) { $0 + $1.received }
            }
            let sum = reports.reduce(0) { $0 + $1.receivedRate }
            return Trial(
                [rate.id: sum / 1000], frames: Double(reports.reduce(0) { $0 + $1.received }))
        }
        return findings + [
            Finding(order, value: Double(reordered), note: "of \(received) frames received")
        ]
    }
}
