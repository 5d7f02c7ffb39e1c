import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// The far ends of veth pairs stand for what a hypervisor or a cable would be.
    @Suite("Device ports")
    struct BorrowedDevices {
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              uplink: {trunk: [blue, green], device: {name: eth1}}
              vms: {network: blue, device: {match: {name: "vm-*"}}}
              box: {network: blue, tap: {namespace: box, address: [10.1.0.9/24]}}
              other: {network: green, tap: {namespace: other, address: [10.1.0.9/24]}}
            """

        /// Makes a pair: one end in the switch's namespace, the other with an address in its own.
        private func plug(_ lab: Lab, _ device: String, _ namespace: String, _ address: String)
            throws
        {
            try lab.sh(
                """
                ip netns add \(namespace)
                ip link add \(device) type veth peer name eth0 netns \(namespace)
                ip -n \(namespace) addr add \(address)/24 dev eth0
                ip -n \(namespace) link set eth0 up
                """)
        }

        private func ports(_ lab: Lab) throws -> [String] {
            try lab.json("port", "list", as: PortList.self).ports.map(\.name)
        }

        /// Waits for a discovered port to be there, or gone.
        private func port(_ name: String, isThere: Bool, _ lab: Lab) throws -> Bool {
            for _ in 0..<60 {
                if try ports(lab).contains(name) == isThere { return true }
                usleep(50_000)
            }
            return false
        }

        @Test("a device that matches is a port within a moment, and is given back as it was")
        func matched() throws {
            try withTopology(Self.topology) { lab in
                #expect(try lab.port("vms").state == .down)
                try plug(lab, "vm-1", "guest", "10.1.0.1")
                #expect(try port("vm-1", isThere: true, lab))
                let found = try lab.port("vm-1")
                #expect(found.origin == .discovered && found.template == "vms")
                #expect(try lab.ping(from: "box", "10.1.0.1"))
                #expect(try lab.ping(from: "guest", "10.1.0.9"))
                #expect(try lab.port("vms").state == .up)
                #expect(
                    try lab.heddle("topology", "plan", lab.directory + "/topology.yaml").status == 0
                )

                // Renamed away it is nobody's again, and down as it was before.
                try lab.sh("ip link set vm-1 down; ip link set vm-1 name nic-1")
                #expect(try port("vm-1", isThere: false, lab))
                #expect(try !lab.sh("ip link show nic-1").contains("PROMISC"))
                try lab.sh("ip link delete nic-1; ip netns delete guest")
            }
        }

        @Test("an alias is enough, is followed, and says what is wrong with it")
        func alias() throws {
            try withTopology(Self.topology) { lab in
                try plug(lab, "nic0", "guest", "10.1.0.1")
                try lab.sh("ip link set nic0 alias heddle:network=bleu")
                var listing = ""
                for _ in 0..<60 where !listing.contains("bleu") {
                    usleep(50_000)
                    listing = try lab.heddle("port", "list").text
                }
                #expect(
                    listing.contains(
                        "device 'nic0' is no port: network 'bleu' is not declared (did you mean 'blue'?)"
                    ))
                try lab.sh("ip link set nic0 alias heddle:network=blue")
                #expect(try port("nic0", isThere: true, lab))
                #expect(try lab.ping(from: "box", "10.1.0.1"))
                #expect(try !lab.ping(from: "other", "10.1.0.1"))
                try lab.sh("ip link set nic0 alias heddle:network=green")
                var network: String?
                for _ in 0..<60 where network != "green" {
                    usleep(50_000)
                    network = try lab.port("nic0").network
                }
                #expect(try lab.ping(from: "other", "10.1.0.1"))
                #expect(try !lab.ping(from: "box", "10.1.0.1"))
                try lab.sh("ip link delete nic0; ip netns delete guest")
                #expect(try port("nic0", isThere: false, lab))
            }
        }

        @Test("a named device is waited for, carries tags, and comes back after it was gone")
        func named() throws {
            try withTopology(Self.topology) { lab in
                #expect(
                    try lab.port("uplink").reason?.contains("there is no device 'eth1'") == true)
                for _ in 0..<2 {
                    try plug(lab, "eth1", "cable", "10.9.0.1")
                    #expect(try lab.port("uplink", becomes: .up))
                    let peer = try lab.peer(["watch", "eth0"], in: "cable")
                    // The kernel drops what is sent in the first moments after a device came up.
                    for _ in 0..<2 {
                        #expect(try !lab.ping(from: "box", "10.1.0.50"))
                        #expect(try !lab.ping(from: "other", "10.1.0.51"))
                    }
                    try peer.finish()
                    let tags = Set(try LoggedFrame.log(of: peer).compactMap { $0.tags.first?.vid })
                    #expect(tags == [10, 20])
                    try lab.sh("ip link delete eth1; ip netns delete cable")
                    #expect(try lab.port("uplink", becomes: .down))
                }
            }
        }

        @Test(
            "the host's own stack neither answers nor learns of the guests, and replies come once")
        func hostStack() throws {
            try withTopology(Self.topology) { lab in
                try plug(lab, "vm-1", "guest-1", "10.1.0.1")
                try plug(lab, "vm-2", "guest-2", "10.1.0.2")
                #expect(try port("vm-2", isThere: true, lab))
                // A host that has the address itself and would answer, and that forwards.
                try lab.sh("ip addr add 10.1.0.77/24 dev vm-1; sysctl -qw net.ipv4.ip_forward=1")
                let ping = try lab.run(["ping", "-c", "4", "-i", "0.2", "10.1.0.2"], in: "guest-1")
                #expect(ping.text.contains(" 0% packet loss"), "\(ping.text)")
                #expect(!ping.text.contains("DUP!"))
                #expect(
                    try !lab.ping(from: "guest-1", "10.1.0.77"), "the host is not on the network")
                #expect(try !lab.sh("ip neigh show dev vm-1").contains("lladdr"))
                try lab.sh("ip link delete vm-1; ip link delete vm-2")
                try lab.sh("ip netns delete guest-1; ip netns delete guest-2")
                #expect(try port("vm-2", isThere: false, lab))
            }
        }

        @Test("a leased port goes with its client, however that ends")
        func lease() throws {
            try withTopology(Self.topology) { lab in
                for signal in [SIGTERM, SIGKILL] {
                    let client = try lab.start([
                        Lab.heddlePath, "port", "attach", "--name", "web-3", "--network", "blue",
                        "--vhost-user", "/run/heddle/web-3.sock", "--mode", "server", "--lease",
                    ])
                    try client.wait("the port is there", seconds: 10) {
                        $0.output.contains("web-3")
                    }
                    #expect(try lab.port("web-3").origin == .attached)
                    #expect(try lab.sh("stat -c %a /run/heddle/web-3.sock") == "600\n")
                    try client.send(signal)
                    #expect(try port("web-3", isThere: false, lab))
                    #expect(try lab.sh("ls /run/heddle").contains("web-3.sock") == false)
                }
                let taken = try lab.heddle(
                    "port", "attach", "box", "--network", "blue", "--bess", "/run/heddle/x",
                    "--lease")
                #expect(taken.status == 1)
                #expect(taken.standardError.contains("port 'box' exists"))
            }
        }
    }
}
