import ControlAPI
import Foundation
import TestSupport

/// Hosts of a lab and the physical network between them: each host is a network namespace with one
/// device, `eth0`, of MTU 1500, plugged into a bridge in the lab's own namespace.
///
/// A host's Heddle has its socket and its state to itself; tenants' namespaces are seen by all, as the
/// lab has one /run/netns, so their names differ.
struct Underlay {
    static let device = "eth0"
    /// Of ``tcp(_:to:_:bytes:)``: one that Wireshark takes for nothing more than TCP.
    static let port = 47_000

    let lab: Lab
    let hosts: [String]

    /// - Parameters:
    ///   - addresses: a host's name, and its address with prefix length.
    ///   - isWire: whether what crosses is what would be on a wire: MTU-sized packets with complete
    ///     checksums. Otherwise it is what veth pairs make of it, super-frames with partial ones.
    init(_ lab: Lab, _ addresses: KeyValuePairs<String, String>, isWire: Bool = false) throws {
        self.lab = lab
        hosts = addresses.map(\.key)
        try lab.sh(
            """
            ip link add underlay type bridge stp_state 0 forward_delay 0 mcast_snooping 0
            ip link set underlay up
            """)
        for (host, address) in addresses {
            let isSix = address.contains(":")
            try lab.sh(
                """
                ip netns add \(host)
                ip link add to-\(host) type veth peer name \(Self.device) netns \(host)
                ip link set to-\(host) master underlay up
                ip -n \(host) link set lo up
                ip -n \(host) link set \(Self.device) up
                ip -n \(host) address add \(address) dev \(Self.device) \(isSix ? "nodad" : "")
                """)
            guard isWire else { continue }
            for (device, namespace) in [(Self.device, host), ("to-\(host)", nil)] {
                let features = ["tx", "rx", "sg", "tso", "gso", "gro"].map { "\($0) off" }
                try lab.sh(
                    "ethtool -K \(device) \(features.joined(separator: " ")) >/dev/null 2>&1",
                    in: namespace)
            }
        }
    }

    // MARK: Heddle on a host

    func start(_ host: String, _ file: String) throws -> LabProcess {
        try lab.sh("mkdir -p /run/heddle-\(host)")
        return try lab.startSwitch(
            file, ["--host", host, "--socket", socket(of: host)], in: host,
            state: "/run/heddle-\(host)/state")
    }

    /// Runs a client command of a host's Heddle.
    func heddle(on host: String, _ arguments: String...) throws -> ExternalTool.Output {
        try lab.run([Lab.heddlePath] + arguments + ["--socket", socket(of: host)])
    }

    func fdb(of host: String) throws -> [FDBEntryInfo] {
        try lab.json("fdb", "list", "--socket", socket(of: host), as: FDBList.self).entries
    }

    func tunnels(of host: String) throws -> [TunnelInfo] {
        try lab.json("tunnel", "list", "--socket", socket(of: host), as: TunnelList.self).tunnels
    }

    /// How many frames a host's Heddle dropped for a reason, at any port.
    func drops(_ reason: String, on host: String) throws -> UInt64 {
        try lab.json("drops", "--socket", socket(of: host), as: DropList.self).drops
            .filter { $0.reason == reason }.reduce(0) { $0 + $1.count }
    }

    func port(_ name: String, on host: String) throws -> PortInfo {
        try lab.json("port", "show", name, "--socket", socket(of: host), as: PortInfo.self)
    }

    /// Ends a host's Heddle; what it left in its namespace and should not have.
    func finish(_ process: LabProcess, on host: String) throws -> [String] {
        try process.finish()
        return try lab.devices(in: host).filter { $0 != Self.device }
    }

    private func socket(of host: String) -> String { "/run/heddle-\(host)/heddle.sock" }

    // MARK: Traffic

    /// The MAC address of a namespace's device.
    static func mac(of device: String, in namespace: String, _ lab: Lab) throws -> String {
        // Not from /sys, which shows the devices of the namespace that it was mounted in.
        let words = try lab.sh("ip -o link show \(device)", in: namespace).split(separator: " ")
        guard let place = words.firstIndex(of: "link/ether"), place + 1 < words.count else {
            throw Lab.Failure("no MAC address in '\(words)'")
        }
        return String(words[place + 1])
    }

    /// Whether one of a few pings is answered: the first may have been lost to a neighbour or a route
    /// that a foreign switch had yet to learn.
    func pings(_ from: String, _ address: String) throws -> Bool {
        for _ in 0..<10 where try lab.ping(from: from, address) { return true }
        return false
    }

    /// Sends bytes over a TCP connection, which are checked on arrival; how many arrived right.
    func tcp(
        _ from: String, to namespace: String, _ address: String, bytes: Int = 20_000_000
    ) throws -> Int {
        struct Outcome: Decodable {
            var acknowledged: Int
        }
        let receiver = try lab.peer(["tcp-receive", "\(Self.port)"], in: namespace)
        defer { _ = try? receiver.finish() }
        let sent = try lab.run(
            ["timeout", "25", Lab.peerPath, "tcp-send", address, "\(Self.port)", "\(bytes)"],
            in: from)
        guard sent.status == 0, let line = sent.text.split(separator: "\n").last else {
            throw Lab.Failure("tcp-send: \(sent.standardError)")
        }
        return try JSONDecoder().decode(Outcome.self, from: Data(line.utf8)).acknowledged
    }
}
