import ControlAPI
import TestSupport
import Testing

extension SystemTests {
    @Suite("isolated-ports.yaml")
    struct IsolatedPorts {
        private let gateway = Host("gateway", "10.40.0.254")
        private let clients = (1...3).map { Host("client-\($0)", "10.40.0.\($0)") }

        @Test("clients reach the gateway and not each other, even when they know the address")
        func reachability() throws {
            var expected: Reached = []
            for client in clients { expected.formUnion(pairs(within: [[gateway, client]])) }
            try withExample("isolated-ports") { lab in
                #expect(try lab.pings(among: clients + [gateway]) == expected)
                #expect(try lab.connections(among: clients + [gateway]) == expected)
                #expect(try lab.port("client-1").isolated)

                // With static neighbours no ARP is needed: unicast itself must be stopped.
                for (own, other) in [(1, 2), (2, 1)] {
                    let mac = try #require(try lab.port("client-\(other)").mac)
                    try lab.sh(
                        "ip neighbour replace 10.40.0.\(other) lladdr \(mac) dev client-\(own) "
                            + "nud permanent", in: "client-\(own)")
                }
                let listener = try lab.peer(["watch", "client-2"], in: "client-2")
                let before = try lab.drops("isolated", port: "client-1")
                #expect(try !lab.ping(from: "client-1", "10.40.0.2"))
                #expect(try lab.drops("isolated", port: "client-1") >= before + 2)
                try listener.finish()
                let mac = try lab.port("client-1").mac
                #expect(try !LoggedFrame.log(of: listener).contains { $0.from == mac })
            }
        }
    }
}
