/// The Linux bridge over veth pairs. It has no process: its work is done in the softirq of whoever
/// sends, and is therefore only seen in the CPU time of the whole machine.
struct BridgeSystem: System {
    let name = "Linux bridge"

    var programs: [String] { ["ip"] }

    func start(at site: Site) throws {
        var commands = [
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set br0 up",
        ]
        for (index, port) in site.ports.enumerated() {
            commands += [
                "link add port\(index) type veth peer name \(port.device)"
                    + " netns \(port.namespace.name)",
                "link set port\(index) master br0 txqueuelen \(Rig.queueLength) up",
            ]
        }
        try site.namespace.configure(commands)
    }
}
