import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing
import Wire

@testable import Netlink

@Suite(
    "The real kernel's routes", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"),
    .enabled(if: ExternalTool.isAvailable("ip", package: "iproute2")))
struct KernelRouteTests {
    /// Makes a veth pair, both ends up, the first with 192.0.2.1/24 and 2001:db8::1/64.
    private func withUnderlay(
        _ body: (NetlinkSocket, Link, (String) throws -> Void) throws -> Void
    ) throws {
        try inFreshNamespace {
            let socket = try NetlinkSocket()
            try socket.createVeth(VethEnd("va"), peer: VethEnd("vb"))
            let link = try #require(try socket.link(.name("va")))
            let peer = try #require(try socket.link(.name("vb")))
            for text in ["192.0.2.1/24", "2001:db8::1/64"] {
                try socket.addAddress(try #require(InterfaceAddress(text)), to: link.index)
            }
            try socket.setUp(link.index, true)
            try socket.setUp(peer.index, true)
            try body(socket, link, Self.ip)
        }
    }

    /// Runs `ip` in the thread's namespace. Started by hand: Foundation's Process ends on a thread of
    /// the pool on which these tests wait.
    private static func ip(_ arguments: String) throws {
        let words = ["ip"] + arguments.split(separator: " ").map(String.init)
        var pointers = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process = pid_t()
        try #require(posix_spawnp(&process, "ip", nil, nil, &pointers, clinux_environment()) == 0)
        var status: Int32 = 0
        #expect(waitpid(process, &status, 0) == process)
        #expect(clinux_exited(status) && clinux_exit_code(status) == 0, "ip \(arguments)")
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("are found for both families, with device, gateway, source and MTU")
    func routes() throws {
        try withUnderlay { socket, link, ip in
            try ip("route add 10.9.0.0/16 via 192.0.2.9 mtu 1300")
            try ip("-6 route add 2001:db8:9::/48 via 2001:db8::9 mtu 1300")
            let rows: [(to: String, from: String, gateway: String?, mtu: Int?)] = [
                ("192.0.2.2", "192.0.2.1", nil, nil),  // on the link
                ("2001:db8::2", "2001:db8::1", nil, nil),
                ("10.9.0.1", "192.0.2.1", "192.0.2.9", 1300),
                ("2001:db8:9::1", "2001:db8::1", "2001:db8::9", 1300),
            ]
            for row in rows {
                let expected = Route(
                    device: link.index, gateway: try row.gateway.map(address),
                    source: try address(row.from), mtu: row.mtu, isLocal: false)
                for source in [try address(row.from), nil] {
                    #expect(
                        try socket.route(to: address(row.to), from: source) == .route(expected),
                        "\(row) from \(source.map { "\($0)" } ?? "any")")
                }
            }
            guard case .route(let own) = try socket.route(to: address("192.0.2.1")) else {
                Issue.record("no route to the host itself")
                return
            }
            #expect(own.isLocal)
        }
    }

    @Test("that lead nowhere say how")
    func deadEnds() throws {
        try withUnderlay { socket, _, ip in
            for (type, expected) in [
                ("blackhole", RouteLookup.blackhole), ("unreachable", .unreachable),
                ("prohibit", .prohibited),
            ] {
                for (prefix, host, source) in [
                    ("10.1.0.0/16", "10.1.0.1", "192.0.2.1"),
                    ("2001:db8:1::/48", "2001:db8:1::1", "2001:db8::1"),
                ] {
                    let (host, source) = (try address(host), try address(source))
                    #expect(try socket.route(to: host, from: source) == .none)
                    try ip("route add \(type) \(prefix)")
                    #expect(try socket.route(to: host, from: source) == expected)
                    try ip("route delete \(type) \(prefix)")
                }
            }
            #expect(
                try socket.route(to: address("192.0.2.2"), from: address("192.0.2.77")) == .none,
                "a source that the host does not have")
        }
    }

    @Test("have next hops whose state and address are told")
    func neighbours() throws {
        try withUnderlay { socket, link, ip in
            let rows: [(String, String, Neighbour)] = [
                ("192.0.2.2", "", Neighbour(state: .none)),  // no entry
                (
                    "192.0.2.2", "lladdr 02:00:00:00:00:02 nud permanent",
                    Neighbour(state: .permanent, address: MACAddress("02:00:00:00:00:02"))
                ),
                (
                    "2001:db8::2", "lladdr 02:00:00:00:00:02 nud stale",
                    Neighbour(state: .stale, address: MACAddress("02:00:00:00:00:02"))
                ),
                ("192.0.2.3", "nud failed", Neighbour(state: .failed)),
            ]
            for (host, entry, expected) in rows {
                if !entry.isEmpty { try ip("neigh add \(host) dev va \(entry)") }
                #expect(try socket.neighbour(address(host), device: link.index) == expected)
            }
            #expect(
                try socket.neighbour(address("192.0.2.2"), device: 9999).state == .none,
                "a device that is gone")
        }
    }

    @Test("leave from addresses that are listed for all devices")
    func addresses() throws {
        try withUnderlay { socket, link, ip in
            try ip("address add 2001:db8:5::1/64 dev va")
            let found = try socket.addresses().filter { $0.index == link.index }
            #expect(
                Set(found.map { "\($0.address)" }).isSuperset(
                    of: ["192.0.2.1/24", "2001:db8::1/64", "2001:db8:5::1/64"]))
            let added = try #require(found.first { "\($0.address)" == "2001:db8:5::1/64" })
            #expect(added.isTentative, "it is still being checked for duplicates")
            #expect(try socket.addresses(of: link.index).count == found.count)
        }
    }

    @Test("tell of each kind of change")
    func events() throws {
        try withUnderlay { _, _, ip in
            let events = try UnderlayEvents()
            _ = try events.drain()
            let rows: [(String, UnderlayChanges)] = [
                ("link set va mtu 1400", .links),
                ("address add 192.0.2.7/32 dev va", .addresses),
                ("-6 address add 2001:db8::7/128 dev va nodad", .addresses),
                ("route add 10.1.0.0/16 dev va", .routes),
                ("-6 route add 2001:db8:1::/48 dev va", .routes),
                ("rule add to 10.3.0.0/16 table 77", .routes),
                ("-6 rule add to 2001:db8:3::/48 table 77", .routes),
                ("nexthop add id 7 dev va", .routes),
                ("neigh add 192.0.2.5 dev va lladdr 02:00:00:00:00:05", .neighbours),
                ("neigh add 2001:db8::5 dev va lladdr 02:00:00:00:00:05", .neighbours),
            ]
            for (arguments, expected) in rows {
                try ip(arguments)
                // What earlier rows set off late (routes of a changed MTU) may come first.
                var told: UnderlayChanges = []
                var polled = pollfd(
                    fd: events.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
                while !told.isSuperset(of: expected), poll(&polled, 1, 2000) == 1 {
                    told.formUnion(try events.drain())
                }
                #expect(told.isSuperset(of: expected), "ip \(arguments)")
            }
        }
    }
}
