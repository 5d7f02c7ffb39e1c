import Foundation
import TestSupport

/// A host whose switch is Linux's own: a bridge with a vxlan device for each VNI, and tenants on veth
/// pairs.
struct KernelPeer {
    /// Whether this kernel has vxlan devices; if not, says so loudly, once.
    static let isAvailable: Bool = {
        guard let lab = try? Lab() else { return false }
        defer { lab.close() }
        if (try? lab.sh("ip link add probe type vxlan id 1 dstport 4789")) != nil { return true }
        let notice = "\n*** SKIPPED: tests with a kernel vxlan device (modprobe vxlan) ***\n\n"
        FileHandle.standardError.write(Data(notice.utf8))
        return false
    }()

    let lab: Lab
    let host: String
    let local: String
    let remote: String

    /// Makes a bridge and its vxlan device.
    ///
    /// - Parameter learns: whether unknown destinations are sent to the other host and its MAC
    ///   addresses learned. Without that, `bridge fdb` has to tell everything.
    func addNetwork(_ vni: Int, mtu: Int = 1450, learns: Bool = true) throws {
        try lab.sh(
            """
            ip link add br\(vni) type bridge stp_state 0 forward_delay 0 mcast_snooping 0
            ip link add vx\(vni) type vxlan id \(vni) local \(local) dstport 4789 \
                dev \(Underlay.device) \(learns ? "remote \(remote)" : "nolearning")
            ip link set vx\(vni) mtu \(mtu) master br\(vni) up
            ip link set br\(vni) up
            """, in: host)
    }

    /// Plugs a namespace into a network; gives the MAC address of its device, `tenant`.
    @discardableResult
    func addTenant(_ namespace: String, _ vni: Int, _ address: String, mtu: Int = 1450) throws
        -> String
    {
        try lab.sh(
            """
            ip netns add \(namespace)
            ip -n \(host) link add p-\(namespace) type veth peer name tenant netns \(namespace)
            ip -n \(host) link set p-\(namespace) mtu \(mtu) master br\(vni) up
            ip -n \(namespace) link set tenant mtu \(mtu) up
            ip -n \(namespace) address add \(address) dev tenant
            """)
        return try Underlay.mac(of: "tenant", in: namespace, lab)
    }
}
