import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("containers.yaml")
    struct Containers {
        private let apps = (1...3).map { Host("app-\($0)", "10.60.0.\($0)") }

        @Test("containers.yaml: veth pairs reach each other and the host")
        func reachability() throws {
            try withExample("containers") { lab in
                #expect(try lab.pings(among: apps) == pairs(within: [apps]))
                #expect(try lab.connections(among: apps) == pairs(within: [apps]))
                for app in apps {
                    #expect(try lab.ping(from: app.namespace, "10.60.0.254"))
                    #expect(
                        try lab.sh("ping -q -c 1 -W 1 \(app.address)").contains(" 0% packet loss"))
                    #expect(try lab.devices(in: app.namespace) == ["eth0"])
                }
                let port = try lab.port("app-3")
                #expect(port.kind == "veth" && port.mac == "02:00:00:60:00:03")
                #expect(port.offloads.contains("tso4"), "super-frames cross whole")

                // The host answers once, and not for the containers.
                let ping = try lab.run(
                    ["ping", "-c", "3", "-i", "0.2", "10.60.0.2"], in: "app-1")
                #expect(!ping.text.contains("DUP!"))
                #expect(try !lab.sh("ip neigh").contains("10.60.0.1 dev app-1"))
            }
        }

        @Test("an address and a namespace change with an apply; a deleted pair is made again")
        func changes() throws {
            func topology(_ namespace: String, _ address: String) -> String {
                """
                heddle: 1
                networks: {blue: {mtu: 1400}}
                ports:
                  a: {network: blue, veth: {namespace: \(namespace), device: eth0, address: [\(address)]}}
                  b: {network: blue, veth: {namespace: b, device: eth0, address: [10.1.0.2/24]}}
                """
            }
            try withTopology(topology("a", "10.1.0.1/24")) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                #expect(try lab.sh("cat /sys/class/net/eth0/mtu", in: "a") == "1400\n")
                let index = try lab.index(of: "eth0", in: "a")
                try lab.apply(try lab.file("address.yaml", topology("a", "10.1.0.7/24")))
                #expect(try lab.index(of: "eth0", in: "a") == index, "the device stays")
                #expect(try lab.ping(from: "b", "10.1.0.7"))
                #expect(try !lab.ping(from: "b", "10.1.0.1"))

                try lab.apply(try lab.file("moved.yaml", topology("c", "10.1.0.7/24")))
                #expect(try lab.ping(from: "b", "10.1.0.7"))
                #expect(try lab.namespaces() == ["b", "c"])

                try lab.sh("ip link delete eth0", in: "c")
                #expect(try lab.port("a", becomes: .down))
                try lab.apply(lab.directory + "/moved.yaml")
                #expect(try lab.port("a").state == .up)
                #expect(try lab.ping(from: "b", "10.1.0.7"))
            }
        }

        @Test("after kill -9 the next start takes the pairs over, addresses and all")
        func crash() throws {
            try Lab.with { lab in
                let file = SystemTests.example("containers")
                let first = try lab.startSwitch(file)
                let index = try lab.index(of: "eth0", in: "app-1")
                try first.send(SIGKILL)
                _ = try? first.waitForEnd()
                let second = try lab.startSwitch(file)
                #expect(try lab.index(of: "eth0", in: "app-1") == index)
                #expect(try lab.pings(among: apps) == pairs(within: [apps]))
                try second.finish()
                #expect(try lab.leftovers() == [])
            }
        }
    }
}
