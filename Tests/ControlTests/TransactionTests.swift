import ControlAPI
import Foundation
import Netlink
import Ports
import TestSupport
import Testing

@testable import Control

@Suite(
    "Applying a topology", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct TransactionTests {
    private static let base = """
        networks:
          a: {}
          b: {vlan: 20}
          c: {vlan: 30}
        ports:
          p1: {network: a, tap: {namespace: n1, address: [10.0.0.1/24, 10.0.0.2/24]}, static: ["02:00:00:00:00:01"]}
          p2: {network: b, tap: {namespace: n2, address: [10.0.0.3/24, "2001:db8::3/64"]}}
          p3: {trunk: [b, c], native: b, tap: {namespace: n2, address: [10.0.0.4/24]}}
        """

    /// Changes of every kind, each of which must be undone when the port `last` cannot be made:
    /// a network renamed and one changed, addresses, another namespace, another kind of attachment.
    private static func changed(last: String) -> String {
        """
        networks:
          a: {vlan: 10, mtu: 1400}
          b2: {vlan: 20}
          c: {vlan: 31}
        ports:
          p1: {trunk: [a, c], tap: {namespace: n1, address: [10.0.0.2/24, 10.0.0.9/24]}}
          p2: {network: b2, tap: {namespace: n4, address: [10.0.0.3/24]}}
          p3: {network: c, pcap: {write: WRITTEN}}
          p4: {network: a, tap: {namespace: n1, address: [10.0.0.5/24]}}
          \(last)
        """
    }

    /// The new network is there before the old one goes, and the device's new port makes the switch
    /// publish what it has by then.
    @Test("may give a network's VNI to another while a device changes ports")
    func renamedNetwork() async throws {
        @Sendable func topology(_ network: String, _ port: String) -> String {
            """
            networks: {\(network): {vni: 5000}}
            ports: {\(port): {network: \(network), tap: {namespace: n1, device: eth0}}}
            """
        }
        try await ControllerLab.with(topology("a", "p1")) { lab in
            try lab.apply(topology("b", "p2"))
            let model = lab.controller.model.withLock { $0 }
            let domains = model.configuration(workers: 1, captures: []).domains
            #expect(domains.map(\.vni) == [5000])
        }
    }

    @Test(
        "that fails leaves kernel and switch as they were, and says why",
        arguments: [
            ("last: {network: a, tap: {namespace: n1, device: taken}}", "did not make"),
            ("last: {network: a, tap: {namespace: file}}", "network namespace 'file'"),
            ("last: {network: a, pcap: {read: /nonexistent/in.pcap}}", "/nonexistent/in.pcap"),
            // An MTU below 1280 leaves no IPv6 on the device.
            (
                "last: {network: small, tap: {namespace: n1, address: [\"2001:db8::1/64\"]}}",
                "2001:db8::1"
            ),
        ])
    func undo(last: String, expected: String) async throws {
        try await ControllerLab.with(Self.base) { lab in
            let n1 = try #require(try NetworkNamespace.open(named: "n1", in: lab.namespaces))
            try n1.run {
                try NetlinkSocket().createVeth(VethEnd("taken"), peer: VethEnd("peer"))
            }
            try "".write(toFile: lab.namespaces + "/file", atomically: false, encoding: .utf8)
            let kernel = try lab.kernel()
            let model = try lab.model()
            let state = try lab.controller.store.load()

            var topology = Self.changed(last: last)
                .replacing("WRITTEN", with: lab.folder.path("out.pcap"))
            topology.replace("networks:\n", with: "networks:\n  small: {mtu: 1000}\n")
            let failure = #expect(throws: ServiceError.self) { try lab.apply(topology) }
            let response = try #require(failure).response
            let text = ([response.error] + response.details).joined(separator: "\n")
            #expect(text.contains(expected), "\(text)")
            #expect(text.contains("the switch is as it was"), "\(text)")

            #expect(try lab.kernel() == kernel)
            #expect(try lab.model() == model)
            #expect(try lab.controller.store.load() == state)
            #expect(try lab.apply(Self.base).plan.isEmpty)

            let good = Self.changed(last: "")
                .replacing("WRITTEN", with: lab.folder.path("out.pcap"))
            try lab.apply(good)
            #expect(try lab.apply(good).plan.isEmpty)
            try lab.apply(Self.base)
            var again = try lab.kernel()
            // A namespace that was left and made anew is another one.
            for name in ["n2"] { again[name] = kernel[name] }
            #expect(again == kernel)
        }
    }

    @Test("takes away nothing with an address that goes: the kernel drops its whole subnet")
    func addresses() async throws {
        let one = "networks: {a: {}}\nports:\n  p: {network: a, tap: {address: [ADDRESSES]}}\n"
        try await ControllerLab.with(one.replacing("ADDRESSES", with: "10.0.0.1/24")) { lab in
            let index = try #require(try NetlinkSocket().link(.name("p"))).index
            for wanted in ["10.0.0.9/24", "10.0.0.9/24, 10.0.0.1/24", "10.0.0.1/24"] {
                try lab.apply(one.replacing("ADDRESSES", with: wanted))
                let present = Set(
                    try NetlinkSocket().addresses(of: index).map { "\($0)" }
                        .filter { !$0.hasPrefix("fe80") })
                #expect(present == Set(wanted.split(separator: ", ").map(String.init)))
            }
        }
    }

    @Test("gives a network its VLAN ID, a port its trunk and another port its device at once")
    func trunkOfNewVLAN() async throws {
        try await ControllerLab.with(
            """
            networks: {a: {}}
            ports:
              p1: {network: a, tap: {}}
              p2: {network: a, tap: {namespace: n1}}
            """
        ) { lab in
            // The device of p2 is freed in the middle, when p1 is a trunk already and `a` untagged.
            try lab.apply(
                """
                networks: {a: {vlan: 10}}
                ports:
                  p1: {trunk: [a], tap: {}}
                  p2: {network: a, tap: {namespace: n2}}
                """)
            #expect(lab.controller.ports().ports.map(\.state) == [.up, .up])
        }
    }

    @Test("a link event that comes during a change is not lost")
    func eventDuringChange() async throws {
        try await ControllerLab.with("networks: {a: {}}\nports: {p: {network: a, tap: {}}}\n") {
            lab in
            let controller = lab.controller
            let index = try #require(try NetlinkSocket().link(.name("p"))).index
            try controller.changing { _ in
                let copy = controller.model.withLock { $0 }
                try NetlinkSocket().deleteLink(index)
                usleep(100_000)
                controller.model.withLock { $0 = copy }
            }
            let isNoticed = try soon { try controller.port(named: "p").state == .down }
            #expect(isNoticed)
            try lab.apply("networks: {a: {}}\nports: {p: {network: a, tap: {}}}\n")
            #expect(try controller.port(named: "p").state == .up)
        }
    }

    @Test("is refused once the switch has stopped, and makes nothing")
    func afterStop() async throws {
        try await ControllerLab.with("") { lab in
            lab.controller.stop()
            #expect(throws: ServiceError.self) { try lab.apply(Self.base) }
            #expect(throws: ServiceError.self) { try lab.controller.flushFDB(FDBFlushRequest()) }
            let kernel = try lab.kernel()
            #expect(kernel.isEmpty)
        }
    }

    @Test("a port and a network that get the number of gone ones begin to count at zero")
    func counters() async throws {
        let topology = """
            networks: {NETWORK: {}}
            ports:
              stays: {network: NETWORK, tap: {namespace: n1, address: [10.0.0.1/24]}}
              NAME: {network: NETWORK, tap: {namespace: n2, address: [10.0.0.2/24]}}
            """
        func named(_ port: String, _ network: String) -> String {
            topology.replacing("NAME", with: port).replacing("NETWORK", with: network)
        }
        try await ControllerLab.with(named("old", "red")) { lab in
            let n1 = try #require(try NetworkNamespace.open(named: "n1", in: lab.namespaces))
            let ping = try ChildProcess.run(
                ["ping", "-c", "1", "-w", "2", "10.0.0.2"], in: n1.descriptor,
                timeout: .seconds(5))
            #expect(ping.isSuccess)
            let old = try lab.controller.port(named: "old")
            #expect(old.counters.forwardedFrames > 0)
            // Without devices in the new one nothing can be counted but what was there before.
            try lab.apply("networks: {red: {}}\nports: {}\n")
            try lab.apply("networks: {blue: {}}\nports: {}\n")
            try lab.apply("networks: {red: {}, blue: {}}\nports: {}\n")
            let file = lab.folder.path("out.pcap")
            try lab.apply(
                "networks: {red: {}, blue: {}}\nports:\n  a: {network: red, pcap: {write: \(file)}}\n"
                    + "  b: {network: red, pcap: {write: \(file)2}}\n")
            for port in lab.controller.ports().ports {
                #expect(port.number <= 1)
                #expect(port.counters == TrafficCounters())
            }
            for network in lab.controller.networks().networks {
                #expect(network.counters == TrafficCounters())
            }
            #expect(lab.controller.drops().drops.isEmpty)
        }
    }

    @Test("a port attached by hand brings its namespace and takes it along")
    func attachByHand() async throws {
        try await ControllerLab.with("networks: {a: {}}\nports: {}\n") { lab in
            let before = try lab.kernel()
            let request = PortAttachRequest(
                name: "x", definition: ["network": "a", "tap": ["namespace": "nx"]])
            _ = try lab.controller.attachPort(request)
            #expect(try lab.kernel().keys.sorted() == ["nx", "nx/x"])
            #expect(throws: ServiceError.self) { try lab.controller.attachPort(request) }
            _ = try lab.controller.detachPort(named: "x")
            #expect(try lab.kernel() == before)
            let state = try lab.controller.store.load()
            #expect(state.namespaces.isEmpty && state.devices.isEmpty)
        }
    }
}
