import Testing

@testable import Topology

/// A file that is refused, and the one line said about it, without the file's name.
struct BadFile: Sendable, CustomTestStringConvertible {
    let text: String
    let line: String

    init(_ text: String, _ line: String) {
        self.text = text
        self.line = line
    }

    var testDescription: String { line }
}

/// A file with networks blue (10), green (20) and plain (none), and the given ports from line 4.
func portFile(_ ports: String) -> String {
    """
    heddle: 1
    networks: {blue: {vlan: 10}, green: {vlan: 20}, plain: {}}
    ports:
    \(ports)

    """
}

extension BadFile {
    static let all: [BadFile] = [
        BadFile(
            "",
            "the file is empty: it must begin with 'heddle: 1'"),  // nothing at all
        BadFile(
            "# only a comment\n",
            "the file is empty: it must begin with 'heddle: 1'"),  // no content
        BadFile(
            "networks: {}\n",
            "1:1: 'heddle' is missing: it must be 1"),  // no format version
        BadFile(
            "heddle: 2\n",
            "1:9: 'heddle' must be 1, not '2'"),  // a version from the future
        BadFile(
            "heddle: '1'\n",
            "1:9: 'heddle' must be 1, not the text \"1\""),  // text where a number is wanted
        BadFile(
            "- heddle: 1\n",
            "1:1: the file must be a mapping with 'heddle', 'switch', 'hosts', 'overlay', 'networks' or 'ports', not a list"
        ),  // a list at the top
        BadFile(
            "heddle\n",
            "1:1: the file must be a mapping with 'heddle', 'switch', 'hosts', 'overlay', 'networks' or 'ports', not 'heddle'"
        ),  // a scalar at the top
        BadFile(
            "heddle: 1\nheddle: 1\n",
            "2:1: key 'heddle' appears twice; the first is at 1:1"),  // the version twice
        BadFile(
            "heddle: 1\nnetwork: {}\n",
            "2:1: unknown key 'network' (did you mean 'networks'?)"),  // a misspelt key at the top
        // an unknown key like no other
        BadFile(
            "heddle: 1\nzebra: {}\n",
            "2:1: unknown key 'zebra'; known are 'heddle', 'switch', 'hosts', 'overlay', 'networks' and 'ports'"
        ),
        // a list for a mapping
        BadFile(
            "heddle: 1\nnetworks: [blue]\n",
            "2:11: 'networks' must be a mapping from names to networks, not a list"),
        // a number for a mapping
        BadFile(
            "heddle: 1\nnetworks: {blue: 10}\n",
            "2:18: network 'blue': must be a mapping with 'vlan', 'mtu', 'vni' or 'overlay', not '10'"
        ),
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: 0}}\n",
            "2:25: network 'blue': 'vlan' must be a VLAN ID from 1 to 4094: VLAN 0 marks frames that have a priority and no VLAN (IEEE 802.1Q)"
        ),  // VLAN 0
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: 4095}}\n",
            "2:25: network 'blue': 'vlan' must be a VLAN ID from 1 to 4094: VLAN 4095 is reserved (IEEE 802.1Q)"
        ),  // VLAN 4095
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: 5000}}\n",
            "2:25: network 'blue': 'vlan' must be a VLAN ID from 1 to 4094: 5000 does not fit the tag's 12 bits (IEEE 802.1Q)"
        ),  // a VLAN ID past 12 bits
        // a word for a VLAN ID
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: ten}}\n",
            "2:25: network 'blue': 'vlan' must be a VLAN ID from 1 to 4094, not 'ten'"),
        // a quoted VLAN ID
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: \"10\"}}\n",
            "2:25: network 'blue': 'vlan' must be a VLAN ID from 1 to 4094, not the text \"10\""),
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: 99999999999999999999999}}\n",
            "2:25: network 'blue': 'vlan' must be a VLAN ID from 1 to 4094, not '99999999999999999999999'"
        ),  // a number past 64 bits
        // one VLAN ID for two networks
        BadFile(
            "heddle: 1\nnetworks:\n  blue: {vlan: 10}\n  green: {vlan: 10}\n",
            "4:17: network 'green': VLAN 10 is network 'blue' already (line 3)"),
        BadFile(
            "heddle: 1\nnetworks:\n  blue: {vlan: 10}\n  blue: {vlan: 20}\n",
            "4:3: key 'blue' appears twice; the first is at 3:3"),  // a network twice
        // an MTU below IPv4's floor
        BadFile(
            "heddle: 1\nnetworks: {blue: {mtu: 67}}\n",
            "2:24: network 'blue': 'mtu' must be a whole number from 68 to 65521, not '67'"),
        // an MTU above what a TAP takes
        BadFile(
            "heddle: 1\nnetworks: {blue: {mtu: 65522}}\n",
            "2:24: network 'blue': 'mtu' must be a whole number from 68 to 65521, not '65522'"),
        // a fraction
        BadFile(
            "heddle: 1\nnetworks: {blue: {mtu: 1500.5}}\n",
            "2:24: network 'blue': 'mtu' must be a whole number from 68 to 65521, not '1500.5'"),
        // a key without a value
        BadFile(
            "heddle: 1\nnetworks: {blue: {mtu: }}\n",
            "2:24: network 'blue': 'mtu' must be a whole number from 68 to 65521, not nothing"),
        // a misspelt network key
        BadFile(
            "heddle: 1\nnetworks: {blue: {vln: 10}}\n",
            "2:19: network 'blue': unknown key 'vln' (did you mean 'vlan'?)"),
        BadFile(
            "heddle: 1\nnetworks: {-blue: {}}\n",
            "2:12: a network is called by a name: up to 63 letters, digits, '.', '_' and '-', the first not a sign, not '-blue'"
        ),  // a name that begins with a sign
        BadFile(
            "heddle: 1\nnetworks: {" + String(repeating: "n", count: 64) + ": {}}",
            "2:12: a network is called by a name: up to 63 letters, digits, '.', '_' and '-', the first not a sign, not 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…'"
        ),  // a name of 64 characters
        // a network's name of digits
        BadFile(
            "heddle: 1\nnetworks: {10: {vlan: 10}}\n",
            "2:12: network '10': a name of digits only would read as a VLAN ID on a port"),
        BadFile(
            "heddle: 1\nnetworks: {[a, b]: {}}\n",
            "2:12: a network is called by a name: up to 63 letters, digits, '.', '_' and '-', the first not a sign, not a list"
        ),  // a list for a key
        BadFile(
            "heddle: 1\nswitch: {ageing: 0}\n",
            "2:18: switch: 'ageing' must be a number of seconds from 1 to 1000000, such as 300s, not '0'"
        ),  // no time at all
        BadFile(
            "heddle: 1\nswitch: {ageing: 5m}\n",
            "2:18: switch: 'ageing' must be a number of seconds from 1 to 1000000, such as 300s, not '5m'"
        ),  // minutes
        // a limit of nothing
        BadFile(
            "heddle: 1\nswitch: {fdb-limit: 0}\n",
            "2:21: switch: 'fdb-limit' must be a whole number from 1 to 1048576, not '0'"),
        BadFile(
            "heddle: 1\nswitch: {loop-hold: 0}\n",
            "2:21: switch: 'loop-hold' must be a number of seconds from 1 to 86400, such as 300s, not '0'"
        ),  // held for no time
        BadFile(
            "heddle: 1\nswitch: 5\n",
            "2:9: switch: must be a mapping with 'ageing', 'fdb-limit', 'port-fdb-limit', 'loop-hold', 'loop-probe', 'recorder' or 'sflow', not '5'"
        ),  // a number for the switch
        // a network that is not declared
        BadFile(
            portFile("  a: {network: bleu, tap: {}}"),
            "4:16: port 'a': network 'bleu' is not declared (did you mean 'blue'?)"),
        BadFile(
            portFile("  a: {network: zebra, tap: {}}"),
            "4:16: port 'a': network 'zebra' is not declared; declared are 'blue', 'green' and 'plain'"
        ),  // a network like no other
        BadFile(
            "heddle: 1\nports: {a: {network: blue, tap: {}}}\n",
            "2:22: port 'a': network 'blue' is not declared: no network is"),  // no network at all
        // no membership
        BadFile(
            portFile("  a: {tap: {}}"),
            "4:3: port 'a': needs exactly one membership, 'network' or 'trunk'; it has none"),
        BadFile(
            portFile("  a: {network: blue, trunk: [blue], tap: {}}"),
            "4:3: port 'a': needs exactly one membership, 'network' or 'trunk'; it has 'network' and 'trunk'"
        ),  // two memberships
        // no attachment
        BadFile(
            portFile("  a: {network: blue}"),
            "4:3: port 'a': needs exactly one attachment, 'tap', 'veth', 'device', 'vhost-user', 'socket' or 'pcap'; it has none"
        ),
        // two attachments
        BadFile(
            portFile("  a: {network: blue, tap: {}, pcap: {read: a}}"),
            "4:3: port 'a': needs exactly one attachment, 'tap', 'veth', 'device', 'vhost-user', 'socket' or 'pcap'; it has 'tap' and 'pcap'"
        ),
        BadFile(
            portFile("  a: {network: blue, native: blue, tap: {}}"),
            "4:30: port 'a': 'native' makes sense with 'trunk' only"),  // native without trunk
        // native outside the trunk
        BadFile(
            portFile("  a: {trunk: [blue], native: green, tap: {}}"),
            "4:30: port 'a': native network 'green' is not one of the trunk's"),
        BadFile(
            portFile("  a: {trunk: [], tap: {}}"),
            "4:14: port 'a': 'trunk' must not be empty"),  // an empty trunk
        // a word for a list
        BadFile(
            portFile("  a: {trunk: blue, tap: {}}"),
            "4:14: port 'a': 'trunk' must be a list, such as [a, b], not 'blue'"),
        BadFile(
            portFile("  a: {trunk: [blue, blue], tap: {}}"),
            "4:21: port 'a': 'blue' is in 'trunk' twice"),  // a network twice in a trunk
        // a network by name and by VLAN
        BadFile(
            portFile("  a: {trunk: [blue, 10], tap: {}}"),
            "4:21: port 'a': network 'blue' is in 'trunk' twice, once by its VLAN"),
        BadFile(
            portFile("  a: {trunk: [blue, plain], tap: {}}"),
            "4:21: port 'a': a trunk cannot carry network 'plain', which has no VLAN ID: give it one with 'vlan:' (line 2)"
        ),  // a network without VLAN in a trunk
        // a list in a list
        BadFile(
            portFile("  a: {trunk: [blue, [green]], tap: {}}"),
            "4:21: port 'a': each of 'trunk' must be a network's name or a VLAN ID, not a list"),
        BadFile(
            portFile("  a: {trunk: [0], tap: {}}"),
            "4:15: port 'a': each of 'trunk' must be a VLAN ID from 1 to 4094: VLAN 0 marks frames that have a priority and no VLAN (IEEE 802.1Q)"
        ),  // VLAN 0 in a trunk
        BadFile(
            "heddle: 1\nnetworks: {vlan-30: {vlan: 31}}\nports: {a: {trunk: [30], tap: {}}}\n",
            "3:21: port 'a': VLAN 30 has no network, and network 'vlan-30' is another one (line 2): give it 'vlan: 30'"
        ),  // a VLAN's own name taken
        BadFile(
            portFile("  a: {network: blue, tap: {namespace: a/b}}"),
            "4:39: port 'a': tap: 'namespace' must be a name: up to 63 letters, digits, '.', '_' and '-', the first not a sign, not 'a/b'"
        ),  // a namespace that is a path
        BadFile(
            portFile("  a: {network: blue, tap: {device: averyveryverylongname}}"),
            "4:36: port 'a': tap: 'device' must be a device name: up to 15 letters, digits, '.', '_' and '-', the first not a sign, not 'averyveryverylongname'"
        ),  // a device name of 21 bytes
        // the loopback device's name
        BadFile(
            portFile("  a: {network: blue, tap: {device: lo}}"),
            "4:36: port 'a': tap: 'device' cannot be 'lo', which every namespace already uses"),
        BadFile(
            portFile("  a: {network: blue, tap: {mac: 02:00}}"),
            "4:33: port 'a': tap: 'mac' must be a MAC address such as 02:00:00:00:00:01, not '02:00'"
        ),  // a short MAC address
        BadFile(
            portFile("  a: {network: blue, tap: {mac: 01:00:00:00:00:01}}"),
            "4:33: port 'a': tap: 'mac' must be the address of one station, and 01:00:00:00:00:01 is a group address"
        ),  // a group MAC address
        BadFile(
            portFile("  a: {network: blue, tap: {address: [10.0.0.1]}}"),
            "4:38: port 'a': tap: each of 'address' must be an address with its prefix length, such as 10.10.0.1/24, not '10.0.0.1'"
        ),  // an address without prefix length
        // an address that is not in a list
        BadFile(
            portFile("  a: {network: blue, tap: {address: 10.0.0.1/24}}"),
            "4:37: port 'a': tap: 'address' must be a list, such as [a, b], not '10.0.0.1/24'"),
        BadFile(
            portFile("  a: {network: blue, tap: {address: [224.0.0.1/24]}}"),
            "4:38: port 'a': tap: each of 'address' must be the address of one host, and 224.0.0.1 is not"
        ),  // a group address
        // an address twice on a port
        BadFile(
            portFile("  a: {network: blue, tap: {address: [10.0.0.1/24, 10.0.0.1/16]}}"),
            "4:51: port 'a': tap: 10.0.0.1 on network 'blue' is given twice"),
        // a misspelt key of the attachment
        BadFile(
            portFile("  a: {network: blue, tap: {namespce: x}}"),
            "4:28: port 'a': tap: unknown key 'namespce' (did you mean 'namespace'?)"),
        BadFile(
            portFile("  a: {network: blue, tap: yes}"),
            "4:27: port 'a': tap: must be a mapping with 'namespace', 'device', 'mac' or 'address', not 'yes'"
        ),  // a word for the attachment
        BadFile(
            portFile("  a: {network: blue, pcap: {}}"),
            "4:28: port 'a': pcap: needs 'read' or 'write', or both"),  // no file
        // a list for a file
        BadFile(
            portFile("  a: {network: blue, pcap: {read: [a]}}"),
            "4:35: port 'a': pcap: 'read' must be text on one line, up to 4095 bytes, not a list"),
        // YAML 1.1's other word for true
        BadFile(
            portFile("  a: {network: blue, isolated: yes, tap: {}}"),
            "4:32: port 'a': 'isolated' must be true or false, not 'yes'"),
        // a negative limit
        BadFile(
            portFile("  a: {network: blue, fdb-limit: -1, tap: {}}"),
            "4:33: port 'a': 'fdb-limit' must be a whole number from 1 to 1048576, not '-1'"),
        BadFile(
            portFile("  a: {network: blue, static: [ff:ff:ff:ff:ff:ff], tap: {}}"),
            "4:31: port 'a': each of 'static' must be the address of one station, and ff:ff:ff:ff:ff:ff is a group address"
        ),  // a static broadcast address
        // a misspelt key beside the right one
        BadFile(
            portFile("  a: {network: blue, netwrok: blue, tap: {}}"),
            "4:22: port 'a': unknown key 'netwrok' (did you mean 'network'?)"),
        BadFile(
            portFile("  a: {network: blue, description: \"a\\nb\", tap: {}}"),
            "4:35: port 'a': 'description' must be text on one line, up to 255 bytes, not the text \"a\\u{a}b\""
        ),  // text on two lines
        BadFile(
            portFile("  a: {network: blue, tap: {}}\n  a: {network: blue, tap: {}}"),
            "5:3: key 'a' appears twice; the first is at 4:3"),  // a port twice
        BadFile(
            portFile(
                "  a: {network: blue, tap: {device: x}}\n  b: {network: blue, tap: {device: x}}"),
            "5:36: port 'b': device 'x' in the switch's namespace belongs to port 'a' (line 4): give one of them another 'device'"
        ),  // a device twice
        BadFile(
            portFile(
                "  a: {network: blue, tap: {mac: 02:00:00:00:00:01}}\n  b: {network: blue, static: [02-00-00-00-00-01], tap: {}}"
            ),
            "5:31: port 'b': 02:00:00:00:00:01 on network 'blue' belongs to port 'a' already (line 4)"
        ),  // a MAC address twice in a network
        // an address twice in a network
        BadFile(
            portFile(
                "  a: {network: blue, tap: {address: [10.0.0.1/24]}}\n  b: {network: blue, tap: {address: [10.0.0.1/24]}}"
            ),
            "5:38: port 'b': tap: 10.0.0.1 on network 'blue' belongs to port 'a' already (line 4)"),
        BadFile(
            "heddle: 1\nnetworks: {blue: {vlan: 10}\n",
            "3:1: not valid YAML: did not find expected ',' or '}'"),  // an unclosed mapping
        // a tab for indentation
        BadFile(
            "heddle: 1\nnetworks:\n\tblue: {}\n",
            "3:1: not valid YAML: found character that cannot start any token"),
        BadFile(
            "heddle: 1\nnetworks: *nets\n",
            "2:11: alias '*nets' has no anchor before it: text that begins with '*' needs quotes"
        ),  // an alias without anchor
        BadFile(
            "heddle: 1\nnetworks: &n {a: *n}\n",
            "2:18: alias '*n' has no anchor before it: text that begins with '*' needs quotes"
        ),  // an alias inside its own anchor
        BadFile(
            "heddle: 1\n--- \nheddle: 1\n",
            "2:1: a second document begins here: a topology is one document"),  // two documents
        // a merge key
        BadFile(
            "heddle: 1\nnetworks:\n  <<: {a: {}}\n",
            "3:3: merge keys ('<<') are not part of this format: write the values out"),
        BadFile(
            "heddle: 1\u{0}\n",
            "1:10: the character U+0000 is not allowed: is it a topology file?"),  // a NUL
        // a control character
        BadFile(
            "heddle: 1\n\u{7f}ELF\n",
            "2:1: the character U+007F is not allowed: is it a topology file?"),
        BadFile(
            "heddle: \"1\n",
            "2:1: not valid YAML: found unexpected end of stream"),  // an unclosed quote
        BadFile(
            "@heddle: 1\n",
            "1:1: not valid YAML: found character that cannot start any token"),  // a reserved sign
        BadFile(
            String(repeating: "[", count: 2000),
            "1:1: lists and mappings are nested more than 32 deep"),  // two thousand brackets
        BadFile(
            "heddle: 1\nnetworks: " + String(repeating: "[", count: 40)
                + String(repeating: "]", count: 40),
            "2:42: lists and mappings are nested more than 32 deep"),  // forty levels
    ]
}

@Suite("A wrong topology file is refused")
struct BadFileTests {
    @Test(
        "with one line that names the place and what would be right",
        arguments: BadFile.all + BadFile.attachments)
    func line(_ file: BadFile) {
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(file.text, file: "t.yaml")
        }
        let separator = file.line.first?.isNumber == true ? ":" : ": "
        #expect(error?.lines == ["t.yaml\(separator)\(file.line)"])
    }

    @Test("with every mistake told, in the order of the file")
    func collected() {
        let text = """
            heddle: 1
            networks:
              blue: {vlan: 0}
              green: {vlan: 20, color: 5}
            ports:
              a: {network: gren, tap: {mac: x}}
              a: {network: green, tap: {}}
              b: {network: green, tap: {}, isolated: 1}
            """
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(text, file: "t.yaml")
        }
        #expect(
            error?.problems.map { $0.location.map { "\($0)" } }
                == ["3:16", "4:21", "6:16", "6:33", "7:3", "8:42"])
        #expect(error?.omittedCount == 0)
    }

    @Test("with twenty lines at most, and the number of the others")
    func capped() {
        let ports = (0..<50).map { "  p\($0): {network: nowhere, tap: {}}\n" }.joined()
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode("heddle: 1\nports:\n\(ports)", file: "t.yaml")
        }
        #expect(error?.problems.count == 20)
        #expect(error?.lines.last == "t.yaml: and 30 more")
    }

    @Test("counting columns in characters, after a byte order mark and with CRLF")
    func columns() {
        let text =
            "\u{FEFF}heddle: 1\r\nnetworks: {}\r\nports: {a: {description: äöü, network: x}}\r\n"
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(text, file: "t.yaml")
        }
        #expect(
            error?.problems.map(\.location) == [
                .init(line: 3, column: 9), .init(line: 3, column: 40),
            ])
    }

    @Test("at once, when it is far too large")
    func millionPorts() {
        let many = (0..<5000).map { "  port-\($0): {network: 10, tap: {}}\n" }.joined()
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode("heddle: 1\nports:\n" + many, file: "t.yaml")
        }
        #expect(error?.lines == ["t.yaml:3:3: 5000 ports are too many: the limit is 4096"])

        let clock = ContinuousClock()
        let million = [UInt8](String(repeating: "  p: {}\n", count: 1_000_000).utf8)
        let duration = clock.measure {
            let error = #expect(throws: TopologyError.self) {
                try Topology.decode(million, file: "t.yaml")
            }
            #expect(
                error?.lines == [
                    "t.yaml: the file is larger than 4 MiB, more than 16384 ports can need"
                ])
        }
        #expect(duration < .seconds(5))
    }

    @Test("in bounded time, when it is as large as it may be")
    func largestFile() {
        var text = "heddle: 1\nports:\n"
        var number = 0
        while text.utf8.count < 2 << 20 {
            text += "  port-\(number): {network: 10, tap: {}}\n"
            number += 1
        }
        let duration = ContinuousClock().measure {
            _ = #expect(throws: TopologyError.self) { try Topology.decode(text, file: "t.yaml") }
        }
        #expect(duration < .seconds(30))
    }

    @Test("without expanding a bomb of aliases", arguments: [true, false])
    func bomb(_ asKey: Bool) {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let nine = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text +=
                asKey
                ? "a\(level): &a\(level) {[\(nine)]: x}\n" : "a\(level): &a\(level) [\(nine)]\n"
        }
        let duration = ContinuousClock().measure {
            let error = #expect(throws: TopologyError.self) {
                try Topology.decode("heddle: 1\n" + text, file: "t.yaml")
            }
            #expect(error?.problems.first?.message.contains("aliases written out") == true)
        }
        #expect(duration < .seconds(2))
    }
}
