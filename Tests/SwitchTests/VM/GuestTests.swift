import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Without a switch: what holds here and fails behind Heddle is Heddle's.
    @Suite(
        "The virtual machines themselves",
        .enabled(if: GuestImages.areAvailable, "\(GuestImages.needed)"))
    struct Guests {
        @Test("an emulated e1000 and an aarch64 guest's virtio-net, joined by a stream socket")
        func stream() throws {
            try Lab.with { lab in
                let socket = lab.directory + "/wire"
                let a = try Guest(
                    in: lab, "a", .x86,
                    GuestNIC(
                        .e1000, mac: "52:54:00:00:00:01", .stream(socket, isServer: true)))
                try a.waitForBoot()
                let b = try Guest(
                    in: lab, "b", .arm64,
                    GuestNIC(mac: "52:54:00:00:00:02", .stream(socket, isServer: false)))
                try b.waitForBoot()
                try a.setUp("10.0.0.1/24", "fd00::1/64")
                try b.setUp("10.0.0.2/24", "fd00::2/64")
                #expect(try a.reaches("10.0.0.2"))
                #expect(try b.reaches("10.0.0.1", byteCount: 1472))
                #expect(try b.reaches("fd00::1"))
                #expect(try a.sh("readlink /sys/class/net/eth0/device/driver").contains("e1000"))
                #expect(try b.sh("uname -m") == "aarch64\n")
            }
        }

        @Test("rtl8139 and virtio-net, joined by datagram sockets, carry a TCP stream")
        func datagrams() throws {
            try Lab.with { lab in
                let sockets = ["a", "b"].map { lab.directory + "/wire-" + $0 }
                let a = try Guest(
                    in: lab, "a",
                    GuestNIC(
                        .rtl8139, mac: "52:54:00:00:00:01",
                        .datagrams(sockets[0], to: sockets[1])))
                let b = try Guest(
                    in: lab, "b",
                    GuestNIC(mac: "52:54:00:00:00:02", .datagrams(sockets[1], to: sockets[0])))
                try boot(a, b)
                try a.setUp("10.0.0.1/24")
                try b.setUp("10.0.0.2/24")
                #expect(try a.reaches("10.0.0.2"))
                #expect(try a.sendStream(to: b, "10.0.0.2", byteCount: 2_000_000) == 2_000_000)
            }
        }

        @Test("on a kernel bridge: user-mode Linux, and a virtio-net guest that migrates")
        func bridge() throws {
            try Lab.with { lab in
                try lab.sh("ip link add bridge type bridge && ip link set bridge up")
                for tap in ["t0", "t1", "t2"] {
                    try lab.sh(
                        "ip tuntap add \(tap) mode tap && ip link set \(tap) master bridge up")
                }
                let user = try Guest(
                    in: lab, "user", .userMode, GuestNIC(mac: "52:54:00:00:00:09", .tap("t0")))
                let before = try Guest(
                    in: lab, "before", GuestNIC(mac: "52:54:00:00:00:01", .tap("t1")))
                let after = try Guest(
                    in: lab, "after", GuestNIC(mac: "52:54:00:00:00:01", .tap("t2")),
                    incoming: lab.directory + "/migration")
                try boot(user, before)
                try user.setUp("10.0.0.9/24", "fd00::9/64")
                try before.setUp("10.0.0.1/24", "fd00::1/64")
                #expect(try user.reaches("fd00::1"))
                #expect(
                    try user.sendStream(to: before, "10.0.0.1", byteCount: 5_000_000) == 5_000_000)
                #expect(
                    try before.sendStream(to: user, "10.0.0.9", byteCount: 5_000_000) == 5_000_000)

                try lab.sh(
                    "ip netns add box && ip link add t9 type veth peer name eth0 netns box"
                        + " && ip link set t9 master bridge up")
                try lab.sh("ip link set eth0 up && ip addr add 10.0.0.8/24 dev eth0", in: "box")
                #expect(try lab.ping(from: "box", "10.0.0.1"))
                let watch = try lab.peer(["watch", "t2"])
                let outcome = try MigrationTraffic.run(
                    lab, from: before, to: after, over: lab.directory + "/migration",
                    guest: "10.0.0.1", namespace: "box", at: "10.0.0.8")
                #expect(try user.reaches("10.0.0.1"))
                #expect(outcome.isExplained, "\(outcome)")
                try watch.wait("the guest's move is announced") { peer in
                    try LoggedFrame.log(of: peer).contains {
                        $0.type == 0x8035 && $0.from == "52:54:00:00:00:01"
                    }
                }
            }
        }

        @Test("four at once on a kernel bridge")
        func four() throws {
            try Lab.with { lab in
                try lab.sh("ip link add bridge type bridge && ip link set bridge up")
                let guests = try (1...4).map { number in
                    try lab.sh(
                        "ip tuntap add t\(number) mode tap"
                            + " && ip link set t\(number) master bridge up")
                    return try Guest(
                        in: lab, "g\(number)",
                        GuestNIC(mac: "52:54:00:00:00:0\(number)", .tap("t\(number)")))
                }
                for guest in guests { try guest.waitForBoot() }
                for (index, guest) in guests.enumerated() {
                    try guest.setUp("10.0.0.\(index + 1)/24")
                }
                for (index, guest) in guests.enumerated() {
                    for other in 1...4 where other != index + 1 {
                        #expect(try guest.reaches("10.0.0.\(other)"))
                    }
                }
            }
        }
    }
}
