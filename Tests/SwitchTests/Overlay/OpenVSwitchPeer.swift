import Foundation
import TestSupport

/// A host whose switch is Open vSwitch with its userspace datapath, in a run directory of its own.
///
/// For tunnels the underlay's device is a port of a bridge that has the host's address, as Open
/// vSwitch's documentation of userspace tunnelling has it; the tenants' bridge has the tunnel.
struct OpenVSwitchPeer {
    static let isAvailable =
        ["ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl"].allSatisfy {
            ExternalTool.isAvailable($0, package: "openvswitch-switch")
        }

    private let lab: Lab
    private let host: String
    private let directory: String

    /// - Parameter address: the host's underlay address with prefix length, which moves to the bridge.
    init(_ lab: Lab, _ host: String, _ address: String) throws {
        self.lab = lab
        self.host = host
        directory = "/run/ovs-\(host)"
        try lab.sh(
            """
            mkdir -p \(directory)
            ovsdb-tool create \(directory)/conf.db /usr/share/openvswitch/vswitch.ovsschema
            """)
        let database = try lab.start(
            environment + [
                "ovsdb-server", "\(directory)/conf.db", "--remote=punix:\(directory)/db.sock",
                "--unixctl=\(directory)/ovsdb.ctl", "--pidfile=\(directory)/ovsdb.pid",
            ], in: host)
        try database.wait("ovsdb-server has its socket") { _ in
            try lab.run(["test", "-S", "\(directory)/db.sock"]).status == 0
        }
        try configure("--no-wait init")
        _ = try lab.start(
            environment + [
                "ovs-vswitchd", "unix:\(directory)/db.sock", "--unixctl=\(directory)/vswitchd.ctl",
                "--pidfile=\(directory)/vswitchd.pid",
            ], in: host)
        try configure(
            """
            add-br br-phy -- set bridge br-phy datapath_type=netdev \
            -- add-port br-phy \(Underlay.device) \
            -- add-br br0 -- set bridge br0 datapath_type=netdev
            """)
        try lab.sh(
            """
            ip address flush dev \(Underlay.device)
            ip address add \(address) dev br-phy
            ip link set br-phy up
            """, in: host)
    }

    private var environment: [String] {
        ["env"] + ["RUN", "LOG", "DB"].map { "OVS_\($0)DIR=\(directory)" }
    }

    private func configure(_ words: String) throws {
        try lab.sh(
            (environment + ["ovs-vsctl", "--timeout=20", "--db=unix:\(directory)/db.sock"])
                .joined(separator: " ") + " " + words, in: host)
    }

    func addTunnel(_ kind: String, _ vni: Int, to remote: String) throws {
        try configure(
            """
            add-port br0 tunnel -- set interface tunnel type=\(kind) \
            options:remote_ip=\(remote) options:key=\(vni) options:csum=true
            """)
    }

    /// Plugs a namespace into the tenants' bridge; its device is `tenant`.
    func addTenant(_ namespace: String, _ address: String, mtu: Int) throws {
        try configure("add-port br0 tenant -- set interface tenant type=internal")
        try lab.sh(
            """
            ip netns add \(namespace)
            ip -n \(host) link set tenant netns \(namespace)
            ip -n \(namespace) link set tenant mtu \(mtu) up
            ip -n \(namespace) address add \(address) dev tenant
            """)
    }
}
