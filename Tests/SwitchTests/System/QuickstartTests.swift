import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("quickstart.yaml")
    struct Quickstart {
        private let hosts = [
            Host("web-1", "10.10.0.1"), Host("web-2", "10.10.0.2"),
            Host("db-1", "10.10.0.3"), Host("db-2", "10.10.0.4"),
        ]

        @Test("the hosts of a tenant reach each other, and nobody else does, by ping and by TCP")
        func reachability() throws {
            let tenants = pairs(within: [Array(hosts[..<2]), Array(hosts[2...])])
            try withExample("quickstart") { lab in
                #expect(try lab.pings(among: hosts) == tenants)
                #expect(try lab.connections(among: hosts) == tenants)

                let entries = try lab.json("fdb", "list", as: FDBList.self).entries
                #expect(Set(entries.map(\.port)) == ["web-1", "web-2", "db-1", "db-2"])
                for entry in entries {
                    #expect(entry.network == (entry.port.hasPrefix("web") ? "blue" : "green"))
                    #expect(entry.mac == (try lab.port(entry.port).mac))
                }
                // A tenant hears nothing of the other, not even broadcasts.
                let listener = try lab.peer(["watch", "db-1"], in: "db-1")
                #expect(try !lab.ping(from: "web-1", "10.10.0.200"))
                try listener.finish()
                let web = try lab.port("web-1").mac
                #expect(try !LoggedFrame.log(of: listener).contains { $0.from == web })
            }
        }

        @Test("every frame that came is accounted for")
        func conservation() throws {
            try withExample("quickstart") { lab in
                #expect(try lab.ping(from: "web-1", "10.10.0.2"))
                let stream = try lab.stream(from: "web-1", to: hosts[1], rate: 2000)
                usleep(500_000)
                #expect(try stream.finish().isPerfect)
                for port in try lab.json("stats", as: StatsInfo.self).ports {
                    let counters = port.counters
                    #expect(
                        counters.receivedFrames == counters.forwardedFrames
                            + counters.floodedFrames + counters.consumedFrames
                            + counters.ingressDroppedFrames, "\(port.name)")
                    #expect(
                        counters.egressCopies == counters.transmittedFrames
                            + counters.queuedFrames + counters.egressDroppedFrames, "\(port.name)")
                    #expect(counters.receivedFrames > 0)
                }
                #expect(try lab.port("web-2").counters.transmittedFrames > 500)
            }
        }
    }
}
