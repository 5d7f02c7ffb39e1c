/// What may stand behind a key. The decoder checks by it and the JSON Schema is made from it.
indirect enum ValueKind: Sendable {
    case integer(ClosedRange<Int>)
    /// A whole number of seconds, with or without `s`.
    case seconds(ClosedRange<Int>)
    case boolean
    case vlan
    /// The name of something: a port, a namespace.
    case name
    /// A network's name, or the VLAN ID of one.
    case network
    case deviceName
    /// A station's MAC address.
    case mac
    case interfaceAddress
    /// An address by which other hosts reach a host.
    case underlayAddress
    /// An address and a UDP port to which datagrams are sent.
    case udpEndpoint
    /// A pattern of text with `*` and `?`; see `Glob`. Of device names it has their letters only.
    case glob(ofDeviceNames: Bool)
    /// Where a Unix socket is.
    case socketPath
    /// The name or the number of a user or a group.
    case account
    /// Permission bits as octal digits in quotes: without, YAML's readers disagree about the number.
    case permissions
    /// One of these words.
    case choice([String])
    /// Text on one line, at most so many bytes.
    case text(limit: Int)
    /// `minimum` elements or more, none twice.
    case list(ValueKind, minimum: Int)
    case mapping(MappingKind)
    /// A mapping from names, chosen by the file, to mappings.
    case named(MappingKind, limit: Int)
    /// A mapping from the names of networks to values.
    case byNetwork(ValueKind)
}

/// A key of a mapping.
struct KeyKind: Sendable {
    let name: String
    let kind: ValueKind
    let doc: String
    let isRequired: Bool

    init(_ name: String, _ kind: ValueKind, isRequired: Bool = false, _ doc: String) {
        self.name = name
        self.kind = kind
        self.doc = doc
        self.isRequired = isRequired
    }
}

/// Keys that make sense beside some values of another key only.
struct KeyCondition: Sendable {
    let keys: [String]
    let other: String
    let values: [String]
    /// What the other is when it is not given.
    let otherDefault: String?
    let reason: String

    init(
        _ keys: [String], with other: String, _ values: [String], otherDefault: String? = nil,
        _ reason: String
    ) {
        self.keys = keys
        self.other = other
        self.values = values
        self.otherDefault = otherDefault
        self.reason = reason
    }

    var holdsWithoutOther: Bool { otherDefault.map(values.contains) ?? false }
}

/// A mapping with fixed keys.
struct MappingKind: Sendable {
    /// What one of them is called, such as `network`.
    let title: String
    let doc: String
    let keys: [KeyKind]
    /// Of each group exactly one key is given; a group is told as its title.
    let exactlyOne: [(title: String, keys: [String])]
    /// At least one of these is given, unless empty.
    let atLeastOne: [String]
    /// A key that makes sense beside another only, and why where that is not plain.
    let needs: [(key: String, other: String, reason: String)]
    let conditions: [KeyCondition]

    init(
        _ title: String,
        _ doc: String,
        keys: [KeyKind],
        exactlyOne: [(title: String, keys: [String])] = [],
        atLeastOne: [String] = [],
        needs: [(key: String, other: String, reason: String)] = [],
        conditions: [KeyCondition] = []
    ) {
        self.title = title
        self.doc = doc
        self.keys = keys
        self.exactlyOne = exactlyOne
        self.atLeastOne = atLeastOne
        self.needs = needs
        self.conditions = conditions
    }
}

extension MappingKind {
    /// The topology file. Adding a key is adding a row here and reading it in `TopologyDecoder`.
    static let file = MappingKind(
        "topology", "What a Heddle switch should be.",
        keys: [
            KeyKind(
                "heddle", .integer(Topology.formatVersion...Topology.formatVersion),
                isRequired: true, "The version of the file's format."),
            KeyKind("switch", .mapping(bridge), "What holds for the switch as a whole."),
            KeyKind(
                "hosts", .named(host, limit: Topology.hostLimit),
                "The hosts by name, for a topology that spans several: every port names its host."),
            KeyKind(
                "overlay", .mapping(overlay),
                "How networks with a VNI travel between hosts: by VXLAN without it."),
            KeyKind(
                "networks", .named(network, limit: Topology.networkLimit),
                "The networks by name: each is one broadcast domain."),
            KeyKind(
                "ports", .named(port, limit: Topology.filePortLimit),
                "The ports by name, up to \(Topology.portLimit) on a host: each has one attachment."
            ),
        ])

    static let bridge = MappingKind(
        "switch", "What holds for the switch as a whole.",
        keys: [
            KeyKind(
                "ageing", .seconds(SwitchSpec.ageingSecondsRange),
                "Seconds after which an address that was not seen again is forgotten (300)."),
            KeyKind(
                "fdb-limit", .integer(SwitchSpec.fdbLimitRange),
                "Addresses that the switch knows at most (65536)."),
            KeyKind(
                "port-fdb-limit", .integer(SwitchSpec.fdbLimitRange),
                "Addresses learned at most on a port that sets no limit of its own (8192)."),
            KeyKind(
                "loop-hold", .seconds(SwitchSpec.loopHoldSecondsRange),
                "How long an access port of a loop is taken down; without it loops are told only."),
            KeyKind(
                "loop-probe", .seconds(SwitchSpec.loopProbeSecondsRange),
                "How often to look for loops besides when ports come up or addresses move."),
            KeyKind(
                "recorder", .boolean,
                "Whether the flight recorder keeps the last seconds of traffic (true)."),
            KeyKind(
                "sflow", .mapping(sflow),
                "Where to send samples of frames and counters: nowhere without it."),
        ])

    static let sflow = MappingKind(
        "sflow", "An sFlow collector, and what it is told.",
        keys: [
            KeyKind(
                "collector", .udpEndpoint, isRequired: true,
                "The collector's address and UDP port, which is 6343 as a rule."),
            KeyKind(
                "sampling", .integer(SFlowSpec.samplingRange),
                "Of so many frames that a port receives one is sampled (1000)."),
            KeyKind(
                "polling", .seconds(SFlowSpec.pollingSecondsRange),
                "Seconds from one telling of a port's counters to the next (20)."),
            KeyKind(
                "header", .integer(SFlowSpec.headerRange),
                "Bytes that are told of a sampled frame at most (128)."),
            KeyKind(
                "agent", .underlayAddress,
                "What the collector calls the switch; the address by which it sends without it."),
        ])

    static let network = MappingKind(
        "network", "One broadcast domain.",
        keys: [
            KeyKind(
                "vlan", .vlan,
                "Its VLAN ID on trunks. A network without one cannot be carried by a trunk."),
            KeyKind(
                "mtu", .integer(NetworkSpec.mtuRange),
                "Its IP MTU: Ethernet header and tags not counted (1500)."),
            KeyKind(
                "vni",
                .integer(
                    Int(NetworkSpec.vniRange.lowerBound)...Int(NetworkSpec.vniRange.upperBound)),
                "Its identifier between hosts. A network without one does not leave its host."),
            KeyKind(
                "overlay", .mapping(encapsulation),
                "Its encapsulation between hosts, instead of the hosts' or the topology's."),
        ],
        needs: [("overlay", "vni", "an encapsulation carries the network's VNI")])

    static let host = MappingKind(
        "host", "A host that carries a part of the topology.",
        keys: [
            KeyKind(
                "underlay", .underlayAddress, isRequired: true,
                "The address by which the other hosts reach it."),
            KeyKind(
                "vlans", .byNetwork(.vlan),
                "VLAN IDs that networks have on this host instead of their own."),
            KeyKind(
                "overlay", .mapping(encapsulation),
                "The encapsulation to and from this host, instead of the topology's."),
            KeyKind(
                "networks", .list(.network, minimum: 0),
                "Networks it takes part in besides its ports': for a VTEP that is not Heddle."),
        ])

    private static let udpPort = KeyKind(
        "port", .integer(1...65_535),
        "The UDP port; 4789 for VXLAN and 6081 for Geneve without it, and GRE has none.")

    private static let kindNames = ValueKind.choice(OverlayKind.allCases.map(\.rawValue))

    /// The encapsulation of a network or a host.
    static let encapsulation = MappingKind(
        "encapsulation", "An encapsulation.",
        keys: [KeyKind("kind", kindNames, isRequired: true, "The encapsulation."), udpPort])

    static let overlay = MappingKind(
        "overlay", "How networks with a VNI travel between hosts.",
        keys: [
            KeyKind("kind", kindNames, "The encapsulation (vxlan)."), udpPort,
            KeyKind("probe", .boolean, "Whether to ask peers if they are there (false)."),
            KeyKind(
                "probe-interval", .integer(TunnelSettings.probeMillisecondsRange),
                "Milliseconds from probe to probe (200)."),
            KeyKind(
                "mss-clamp", .boolean,
                "Whether to tell TCP connections through tunnels what fits (false)."),
        ])

    static let port = MappingKind(
        "port", "One attachment, and the networks it is in.",
        keys: [
            KeyKind(
                "host", .name, "The host that has it; needed where the topology has hosts."),
            KeyKind("network", .network, "Access port: the network, its frames are untagged."),
            KeyKind(
                "trunk", .list(.network, minimum: 1),
                "Trunk port: the networks, their frames tagged with the VLAN ID."),
            KeyKind("native", .network, "The trunk's network whose frames are untagged."),
            KeyKind("tap", .mapping(tap), "A TAP device that Heddle makes."),
            KeyKind(
                "veth", .mapping(veth),
                "A veth pair that Heddle makes: one end is the port, the other in a namespace."),
            KeyKind(
                "device", .mapping(device),
                "A device that is there, or all that match: a TAP of a hypervisor, a card."),
            KeyKind("vhost-user", .mapping(vhostUser), "A guest's card in memory that it shares."),
            KeyKind(
                "socket", .mapping(socket),
                "A Unix socket of QEMU, User-mode Linux or VDE that carries frames."),
            KeyKind("pcap", .mapping(pcap), "Capture files instead of a device."),
            KeyKind(
                "isolated", .boolean,
                "Whether it may reach only ports that are not isolated (false)."),
            KeyKind(
                "fdb-limit", .integer(SwitchSpec.fdbLimitRange),
                "Addresses learned here at most; the switch's port-fdb-limit without it."),
            KeyKind(
                "static", .list(.mac, minimum: 0),
                "Addresses that live here for good: never aged, never moved."),
            KeyKind(
                "sticky", .boolean,
                "Whether an address learned here stays until it ages, whoever claims it (false)."),
            KeyKind("up", .boolean, "Its administrative state (true)."),
            KeyKind("description", .text(limit: 255), "For people."),
        ],
        exactlyOne: [
            ("membership", ["network", "trunk"]),
            ("attachment", ["tap", "veth", "device", "vhost-user", "socket", "pcap"]),
        ],
        needs: [("native", "trunk", "")])
}
