import Testing
import Wire

@testable import Topology

/// An alias that attaches nothing, and what is said about it.
struct BadAlias: Sendable, CustomTestStringConvertible {
    let text: String
    let sentence: String

    init(_ text: String, _ sentence: String) {
        self.text = text
        self.sentence = sentence
    }

    var testDescription: String { text }

    private static let form =
        "an alias is 'heddle:network=NAME' or 'heddle:trunk=NAME,NAME native=NAME'"

    static let all: [BadAlias] = [
        BadAlias("heddle:", "it names no network: \(form)"),  // the prefix alone
        BadAlias("heddle: native=blue", "it names no network: \(form)"),  // a native of nothing
        BadAlias("heddle:blue", "'blue' has no '='; \(form)"),  // no key
        BadAlias("heddle:network", "'network' has no '='; \(form)"),  // no value
        BadAlias(
            "heddle:netwrok=blue", "unknown key 'netwrok' (did you mean 'network'?)"),  // misspelt
        BadAlias("heddle:vlan=10", "unknown key 'vlan'; \(form)"),  // a key like no other
        BadAlias("heddle:network=blue network=green", "'network' is given twice"),  // a key twice
        BadAlias(
            "heddle:network=blue trunk=green",
            "'network' and 'trunk' exclude each other"),  // two memberships
        BadAlias(
            "heddle:network=blue native=blue",
            "'native' makes sense with 'trunk' only"),  // native without trunk
        BadAlias(
            "heddle:network=",
            "'network' must be a network's name or a VLAN ID, not ''"),  // an empty name
        BadAlias(
            "heddle:network=bl/ue",
            "'network' must be a network's name or a VLAN ID, not 'bl/ue'"),  // no name
        BadAlias(
            "heddle:trunk=blue,,green",
            "'trunk' must be a network's name or a VLAN ID, not ''"),  // a comma too many
        BadAlias(
            "heddle:trunk=blue, green", "'green' has no '='; \(form)"),  // a space in a list
        BadAlias(
            "heddle:network=4095",
            "'network' must be a VLAN ID from 1 to 4094: VLAN 4095 is reserved (IEEE 802.1Q)"
        ),  // no VLAN
        BadAlias(
            "heddle:network=bleu",
            "network 'bleu' is not declared (did you mean 'blue'?)"),  // a misspelt network
        BadAlias("heddle:network=zebra", "network 'zebra' is not declared"),  // one like no other
        BadAlias(
            "heddle:trunk=blue,10", "network 'blue' is in 'trunk' twice"),  // by name and by VLAN
        BadAlias(
            "heddle:trunk=blue,plain",
            "a trunk cannot carry network 'plain', which has no VLAN ID: give it one with 'vlan:'"
        ),  // a network without VLAN ID
        BadAlias(
            "heddle:trunk=blue native=green",
            "native network 'green' is not one of the trunk's"),  // another's native
        BadAlias(
            "heddle:network=40",
            "VLAN 40 has no network, and network 'vlan-40' is another one: give it 'vlan: 40'"
        ),  // a VLAN's own name taken
    ]
}

@Suite("A device's alias")
struct DeviceAliasTests {
    private let topology: Topology

    init() throws {
        topology = try Topology.decode(
            """
            heddle: 1
            networks: {blue: {vlan: 10}, green: {vlan: 20}, plain: {}, vlan-40: {vlan: 41}}
            """, file: "t.yaml")
    }

    @Test(
        "says which networks it is in, by name or VLAN ID",
        arguments: [
            ("heddle:network=blue", Membership.access(network: "blue")),  // an access port
            ("heddle:network=plain", .access(network: "plain")),  // of a network without VLAN ID
            ("heddle:network=10", .access(network: "blue")),  // by VLAN ID
            ("heddle:trunk=blue", .trunk(networks: ["blue"], native: nil)),  // a trunk of one
            (
                "heddle:trunk=blue,green native=blue",
                .trunk(networks: ["blue", "green"], native: "blue")
            ),  // a trunk with a native network
            (
                "heddle:  native=10   trunk=green,blue ",
                .trunk(networks: ["green", "blue"], native: "blue")
            ),  // in another order, with more spaces
        ])
    func membership(_ text: String, _ membership: Membership) throws {
        let alias = try #require(try DeviceAlias.parse(text))
        let resolution = try alias.resolve(in: topology)
        #expect(resolution.membership == membership)
        #expect(resolution.madeNetworks.isEmpty)
    }

    @Test("makes a network for a VLAN ID that none has, as a file does")
    func rawVLAN() throws {
        let alias = try #require(try DeviceAlias.parse("heddle:trunk=30,10,31 native=30"))
        let resolution = try alias.resolve(in: topology)
        #expect(
            resolution.membership
                == .trunk(networks: ["vlan-30", "blue", "vlan-31"], native: "vlan-30"))
        #expect(
            resolution.madeNetworks == [
                NetworkSpec(name: "vlan-30", vlan: VLANID(30)),
                NetworkSpec(name: "vlan-31", vlan: VLANID(31)),
            ])
    }

    @Test(
        "is its owner's where it does not begin with the prefix",
        arguments: [
            "", "web-1", "uplink: network=blue", "Heddle:network=blue", " heddle:network=blue",
            "heddle", "heddle network=blue",
        ])
    func foreign(_ text: String) throws {
        #expect(try DeviceAlias.parse(text) == nil)
    }

    @Test("is refused in a sentence when it is wrong", arguments: BadAlias.all)
    func refused(_ alias: BadAlias) {
        let problem = #expect(throws: DeviceAlias.Problem.self) {
            try DeviceAlias.parse(alias.text)?.resolve(in: topology)
        }
        #expect(problem?.description == alias.sentence)
    }
}
