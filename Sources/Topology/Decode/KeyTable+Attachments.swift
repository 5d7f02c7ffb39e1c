/// What may be plugged into a port.
extension MappingKind {
    private static let namespace = KeyKind(
        "namespace", .name,
        "The network namespace of the device, made if need be; without it the switch's.")
    private static let deviceName = KeyKind(
        "device", .deviceName,
        "The device's name in the kernel; without it one derived from the port's name.")
    private static let mac = KeyKind(
        "mac", .mac,
        "The device's MAC address; without it one derived from the switch and the port.")
    private static let address = KeyKind(
        "address", .list(.interfaceAddress, minimum: 0),
        "The device's IP addresses with prefix lengths, such as 10.10.0.1/24.")

    static let tap = MappingKind(
        "tap", "A TAP device that Heddle makes; its MTU is the network's.",
        keys: [namespace, deviceName, mac, address])

    static let veth = MappingKind(
        "veth",
        "A veth pair that Heddle makes; the device is the end that is not the port. "
            + "Its MTU is the network's.",
        keys: [namespace, deviceName, mac, address])

    static let device = MappingKind(
        "device", "A device of the switch's namespace that is there, or all that match.",
        keys: [
            KeyKind(
                "name", .deviceName,
                "Its name. The port is up while there is a device of that name."),
            KeyKind(
                "match", .mapping(match),
                "Which devices become ports like this one, each while it is there."),
        ],
        exactlyOne: [("selection", ["name", "match"])])

    static let match = MappingKind(
        "match", "Which devices are taken: those for which all that is given holds.",
        keys: [
            KeyKind(
                "name", .glob(ofDeviceNames: true),
                "A pattern of its name or an alternative name: * is any text, ? any character."),
            KeyKind(
                "group",
                .integer(
                    Int(
                        DeviceMatch.groupRange.lowerBound)...Int(
                            DeviceMatch.groupRange.upperBound)),
                "Its group, as ip link set vnet0 group 7 sets it; all others are in group 0."),
            KeyKind(
                "alias", .glob(ofDeviceNames: false),
                "A pattern of its alias, as ip link set vnet0 alias web-1 sets it."),
        ],
        atLeastOne: ["name", "group", "alias"])

    private static func mode(_ usual: SocketMode) -> KeyKind {
        KeyKind(
            "mode", .choice(SocketMode.allCases.map(\.rawValue)),
            "Whether Heddle connects to the socket or makes it and listens (\(usual)).")
    }

    private static let access = [
        KeyKind("user", .account, "The user, by name or number, who owns the socket."),
        KeyKind("group", .account, "The group, by name or number, that owns the socket."),
        KeyKind(
            "permissions", .permissions,
            "The socket's permissions as octal digits in quotes, such as \"0660\"."),
    ]

    private static func makesSocket(whereDefault mode: SocketMode) -> KeyCondition {
        KeyCondition(
            access.map(\.name), with: "mode", [SocketMode.server.rawValue],
            otherDefault: mode.rawValue, "a client uses the socket that another made")
    }

    static let vhostUser = MappingKind(
        "vhost-user", "A guest's card, whose memory and rings a hypervisor shares.",
        keys: [
            KeyKind("socket", .socketPath, isRequired: true, "The absolute path of the socket."),
            mode(.client),
            KeyKind(
                "queues", .integer(VhostUserSpec.queuesRange),
                "Pairs of queues that the guest may have at most "
                    + "(\(VhostUserSpec.defaultQueues))."),
        ] + access,
        conditions: [makesSocket(whereDefault: .client)])

    static let socket = MappingKind(
        "socket", "A Unix socket that carries frames.",
        keys: [
            KeyKind(
                "path", .socketPath, isRequired: true,
                "The absolute path of the socket; with vde of the directory that has it as ctl."),
            KeyKind(
                "protocol", .choice(SocketProtocol.allCases.map(\.rawValue)), isRequired: true,
                "How frames travel over it."),
            mode(.server),
            KeyKind(
                "peer", .socketPath, "With qemu-dgram: the path at which QEMU receives."),
        ] + access,
        conditions: [
            KeyCondition(
                ["peer"], with: "protocol", [SocketProtocol.qemuDgram.rawValue],
                "the others have one path"),
            KeyCondition(
                ["mode"], with: "protocol",
                SocketProtocol.allCases.filter { $0 != .qemuDgram }.map(\.rawValue),
                "a datagram socket neither connects nor listens"),
            makesSocket(whereDefault: .server),
        ])

    static let pcap = MappingKind(
        "pcap", "Capture files as a port.",
        keys: [
            KeyKind("read", .text(limit: 4095), "A capture whose frames enter the switch."),
            KeyKind("write", .text(limit: 4095), "A capture of the frames that leave."),
        ],
        atLeastOne: ["read", "write"])
}
