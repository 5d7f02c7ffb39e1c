import CLinux
import SystemPackage
import TestSupport
import Testing
import Wire

@testable import Netlink

/// The same requests, carried out by the real kernel in namespaces of the tests' own.
@Suite(
    "The real kernel", .serialized, .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct KernelTests {
    /// Makes a veth pair and hands over one end.
    private func withVeth(_ body: (NetlinkSocket, Link) throws -> Void) throws {
        try inFreshNamespace {
            let socket = try NetlinkSocket()
            try socket.createVeth(VethEnd("va"), peer: VethEnd("vb"))
            try body(socket, try #require(try socket.link(.name("va"))))
        }
    }

    @Test("makes a veth pair, lists it, and deletes both ends at once")
    func vethPair() throws {
        try withVeth { socket, link in
            #expect(link.kind == "veth")
            #expect(try socket.links().map(\.name).sorted() == ["lo", "va", "vb"])
            let peer = try #require(try socket.link(.name("vb")))
            #expect(link.lower == peer.index)
            try socket.deleteLink(peer.index)
            #expect(try socket.links().map(\.name) == ["lo"])
            #expect(try socket.link(.index(link.index)) == nil)
        }
    }

    @Test("gives each end what was asked for, the far one in another namespace")
    func vethAcrossNamespaces() throws {
        try inFreshNamespace {
            var there: NetlinkSocket?
            var namespace: FileDescriptor?
            try inFreshNamespace {
                there = try NetlinkSocket()
                namespace = try FileDescriptor.open("/proc/thread-self/ns/net", .readOnly)
            }
            let far = try #require(there)
            let descriptor = try #require(namespace)
            defer { try? descriptor.close() }
            let near = try NetlinkSocket()
            let address = MACAddress(rawValue: 0x0200_0000_0001)
            try near.createVeth(
                VethEnd("va", mtu: 9000),
                peer: VethEnd("vb", namespace: descriptor, address: address))
            #expect(try near.link(.name("va"))?.mtu == 9000)
            #expect(try near.link(.name("vb")) == nil)
            #expect(try far.link(.name("vb"))?.address == address, "opened there, used here")

            let moved = try #require(try near.link(.name("va")))
            try near.move(moved.index, toNamespace: descriptor, renaming: "vc")
            #expect(try near.link(.name("va")) == nil)
            #expect(try far.link(.name("vc"))?.kind == "veth")
        }
    }

    @Test("renames, and sets MTU, address, alias and flags")
    func attributes() throws {
        try withVeth { socket, link in
            let address = MACAddress(rawValue: 0x0200_0000_00aa)
            try socket.rename(link.index, to: "renamed")
            try socket.setMTU(link.index, to: 1400)
            try socket.setAddress(link.index, to: address)
            try socket.setAlias(link.index, to: "heddle:network=blue")
            try socket.setUp(link.index, true)
            var found = try #require(try socket.link(.index(link.index)))
            #expect(found.name == "renamed")
            #expect(found.mtu == 1400)
            #expect(found.address == address)
            #expect(found.alias == "heddle:network=blue")
            #expect(found.flags.contains(.up))
            #expect(!found.flags.contains(.running), "its peer is down")

            try socket.setAlias(link.index, to: "")
            try socket.setUp(link.index, false)
            found = try #require(try socket.link(.index(link.index)))
            #expect(found.alias == nil)
            #expect(!found.flags.contains(.up))
        }
    }

    @Test("finds a device by its alternative names, which are not its name")
    func alternativeNames() throws {
        try withVeth { socket, link in
            let long = "heddle-lab-" + String(repeating: "x", count: 100)
            try socket.addAlternativeName(long, to: link.index)
            try socket.addAlternativeName("short", to: link.index)
            let found = try #require(try socket.link(.alternativeName(long)))
            #expect(found.index == link.index)
            #expect(Set(found.alternativeNames) == [long, "short"])
            #expect(try socket.link(.name("short")) == nil)
            #expect(try socket.link(.alternativeName("va")) == nil)

            try socket.removeAlternativeName("short", from: link.index)
            #expect(try socket.link(.alternativeName("short")) == nil)
            #expect(try socket.link(.alternativeName(long)) != nil)
        }
    }

    @Test("takes a name that no device can have for one that none has")
    func impossibleNames() throws {
        try withVeth { socket, _ in
            for selector in [
                LinkSelector.name(String(repeating: "x", count: 16)),
                .alternativeName(String(repeating: "x", count: 200)), .name(""),
            ] {
                let found = try socket.link(selector)
                #expect(found == nil)
            }
        }
    }

    @Test("adds, lists and removes addresses of both families")
    func addresses() throws {
        try withVeth { socket, link in
            let v4 = try #require(InterfaceAddress("10.10.0.1/24"))
            let v6 = try #require(InterfaceAddress("2001:db8::1/64"))
            let elsewhere = try #require(try socket.link(.name("vb")))
            try socket.addAddress(v4, to: link.index)
            try socket.addAddress(v6, to: link.index)
            #expect(try Set(socket.addresses(of: link.index)) == [v4, v6])
            #expect(try socket.addresses(of: elsewhere.index) == [])

            #expect {
                try socket.addAddress(v4, to: link.index)
            } throws: {
                ($0 as? NetlinkError)?.errno == .fileExists
            }
            try socket.removeAddress(v4, from: link.index)
            #expect(try socket.addresses(of: link.index) == [v6])
        }
    }

    @Test("explains a refusal in its own words")
    func refusals() throws {
        try withVeth { socket, link in
            #expect {
                try socket.setMTU(link.index, to: 100_000)
            } throws: {
                "\($0)".hasPrefix("cannot set MTU 100000 on device #\(link.index): mtu greater")
            }
            #expect {
                try socket.rename(link.index, to: "vb")
            } throws: {
                ($0 as? NetlinkError)?.errno == .fileExists
            }
            #expect {
                try socket.deleteLink(9999)
            } throws: {
                ($0 as? NetlinkError)?.errno == .operationNotSupportedByDevice
            }
        }
    }

    @Test("tells of a device that appears, changes and vanishes")
    func events() throws {
        try withVeth { socket, link in
            let events = try LinkEvents()
            #expect(try events.drain() == [], "nothing has happened since")
            try socket.setMTU(link.index, to: 1300)
            let changes = try events.drain()
            #expect(
                changes.contains {
                    if case .changed(let now) = $0 {
                        now.index == link.index && now.mtu == 1300
                    } else {
                        false
                    }
                })
            var polled = pollfd(
                fd: events.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            #expect(poll(&polled, 1, 0) == 0, "drained")
            try socket.deleteLink(link.index)
            #expect(poll(&polled, 1, 1000) == 1, "an event makes it readable")
            #expect(try events.drain().contains(.removed(index: link.index, name: "va")))
        }
    }

    @Test("reports an overrun when events outgrow the socket, and goes on")
    func overrun() throws {
        try withVeth { socket, link in
            let events = try LinkEvents()
            for round in 0..<4000 {
                try socket.setMTU(link.index, to: 1000 + round % 2)
            }
            #expect(try events.drain().contains(.overrun))
            try socket.setMTU(link.index, to: 1234)
            #expect(
                try events.drain().contains {
                    if case .changed(let now) = $0 { now.mtu == 1234 } else { false }
                })
        }
    }

    @Test("lists more devices than one datagram holds")
    func manyLinks() throws {
        try inFreshNamespace {
            let socket = try NetlinkSocket()
            for number in 0..<100 {
                try socket.createVeth(VethEnd("a\(number)"), peer: VethEnd("b\(number)"))
            }
            #expect(try Set(socket.links().map(\.name)).count == 201)
        }
    }
}
