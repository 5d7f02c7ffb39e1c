/// Open vSwitch's userspace datapath with the switch's ends of veth pairs as ports.
///
/// It takes a frame whose checksum is left to the device for a broken one, unless
/// `userspace-tso-enable` is set: then it takes super-frames as well. So the hosts compute their
/// checksums themselves (`ethtool -K DEVICE tx off`), as its documentation of AF_XDP says.
struct OpenVSwitchDeviceSystem: System {
    enum Kind: String, Sendable {
        /// A packet socket, served by the main thread.
        case packet = "AF_PACKET"
        /// A packet socket, with super-frames.
        case packetTSO = "AF_PACKET, TSO on"
        /// AF_XDP, in the best mode that the device has, served by a polling thread.
        case xdp = "AF_XDP"
    }

    let kind: Kind

    var name: String { "Open vSwitch, \(kind.rawValue)" }
    var programs: [String] { OpenVSwitch.programs + ["ip", "ethtool"] }
    var isPolling: Bool { kind == .xdp }

    func start(at site: Site) throws {
        try site.addVethPairs()
        if kind != .packetTSO {
            for port in site.ports {
                try site.run(["ethtool", "-K", port.device, "tx", "off"], in: port.namespace)
            }
        }
        let settings: [String] =
            switch kind {
            case .packet: []
            case .packetTSO: ["userspace-tso-enable=true"]
            case .xdp: ["pmd-cpu-mask=0x\(String(1 << site.core, radix: 16))"]
            }
        let openVSwitch = try OpenVSwitch(at: site, settings: settings)
        try openVSwitch.configure([
            "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
        ])
        for index in site.ports.indices {
            var command = ["add-port", "br0", "port\(index)"]
            if kind == .xdp { command += ["--", "set", "interface", "port\(index)", "type=afxdp"] }
            try openVSwitch.configure(command)
        }
    }
}
