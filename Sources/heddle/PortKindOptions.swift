import ArgumentParser
import ControlAPI

/// What is plugged into a port that the command line attaches: options for the keys of a topology
/// file.
struct PortKindOptions: ParsableArguments {
    @Flag(help: "A veth pair instead of a TAP.") var veth = false
    @Option(help: "A device that is there: a hypervisor's TAP, a card.") var existingDevice: String?
    @Option(help: ArgumentHelp("A vhost-user socket.", valueName: "path")) var vhostUser: String?
    @Option(help: ArgumentHelp("QEMU's '-netdev stream'.", valueName: "path"))
    var qemuStream: String?
    @Option(help: ArgumentHelp("QEMU's '-netdev dgram': where it sends.", valueName: "path"))
    var qemuDgram: String?
    @Option(help: ArgumentHelp("User-mode Linux's 'transport=bess'.", valueName: "path"))
    var bess: String?
    @Option(help: ArgumentHelp("VDE: the switch's directory.", valueName: "path")) var vde: String?

    @Option(help: "TAP, veth: network namespace for the device.") var namespace: String?
    @Option(help: "TAP, veth: name of the device in the kernel.") var device: String?
    @Option(help: "TAP, veth: MAC address of the device.") var mac: String?
    @Option(help: "TAP, veth: IP address with prefix length; repeatable.") var address: [String] =
        []
    @Option(help: "Sockets: whether Heddle is 'client' or 'server'.") var mode: String?
    @Option(help: "vhost-user: queue pairs at most.") var queues: Int?
    @Option(help: ArgumentHelp("QEMU's '-netdev dgram': where it receives.", valueName: "path"))
    var peer: String?
    @Option(help: "Sockets that Heddle makes: their owner.") var user: String?
    @Option(help: "Sockets that Heddle makes: their group.") var group: String?
    @Option(help: "Sockets that Heddle makes: who may use them, such as 0660.")
    var permissions: String?

    private var sockets: [(option: String, protocol: String, path: String)] {
        [
            ("--qemu-stream", "qemu-stream", qemuStream), ("--qemu-dgram", "qemu-dgram", qemuDgram),
            ("--bess", "bess", bess), ("--vde", "vde", vde),
        ].compactMap { option, name, path in path.map { (option, name, $0) } }
    }

    func validate() throws {
        var kinds = sockets.map(\.option)
        if veth { kinds.append("--veth") }
        if existingDevice != nil { kinds.append("--existing-device") }
        if vhostUser != nil { kinds.append("--vhost-user") }
        guard kinds.count <= 1 else {
            throw ValidationError(
                "a port has one kind: \(kinds.joined(separator: ", ")) exclude one another")
        }
        let isDevice = kinds.isEmpty || veth
        guard isDevice || namespace == nil && device == nil && mac == nil && address.isEmpty else {
            throw ValidationError(
                "--namespace, --device, --mac and --address are for devices that Heddle makes: "
                    + "they do not go with \(kinds[0])")
        }
        let isSocket = vhostUser != nil || !sockets.isEmpty
        guard isSocket || mode == nil && user == nil && group == nil && permissions == nil else {
            throw ValidationError("--mode, --user, --group and --permissions are for sockets")
        }
        guard vhostUser != nil || queues == nil else {
            throw ValidationError("--queues is for --vhost-user")
        }
        guard qemuDgram != nil || peer == nil else {
            throw ValidationError("--peer is for --qemu-dgram")
        }
    }

    /// The key of the attachment in a topology file, and what stands behind it.
    var attachment: (key: String, value: [String: JSONValue]) {
        if let existingDevice { return ("device", ["name": .string(existingDevice)]) }
        var value: [String: JSONValue] = [:]
        func set(_ key: String, _ text: String?) {
            if let text { value[key] = .string(text) }
        }
        if vhostUser != nil || !sockets.isEmpty {
            set("mode", mode)
            set("user", user)
            set("group", group)
            set("permissions", permissions)
            if let vhostUser {
                set("socket", vhostUser)
                if let queues { value["queues"] = .integer(queues) }
                return ("vhost-user", value)
            }
            set("path", sockets[0].path)
            set("protocol", sockets[0].protocol)
            set("peer", peer)
            return ("socket", value)
        }
        set("namespace", namespace)
        set("device", device)
        set("mac", mac)
        if !address.isEmpty { value["address"] = .array(address.map { .string($0) }) }
        return (veth ? "veth" : "tap", value)
    }
}
