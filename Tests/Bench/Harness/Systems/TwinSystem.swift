/// The C twin (Tests/Bench/C/twin.c): two TAPs and a loop.
struct TwinSystem: System {
    let name = "C twin"
    let binary: String

    var programs: [String] { [binary] }

    func start(at site: Site) throws {
        guard site.ports.count == 2 else { throw NotMeasured("the C twin has two ports") }
        let process = try site.start([binary] + site.ports.map(\.place))
        try process.wait("being ready") { process.output.contains("ready") }
    }
}
