import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite(
        "Virtual machines on TAPs that QEMU owns",
        .enabled(if: GuestImages.areAvailable, "\(GuestImages.needed)"))
    struct DeviceGuests {
        /// `vm*` by a pattern in the file; what else comes has to say so by an alias.
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              vms: {network: blue, device: {match: {name: "vm*"}}}
              box: {network: blue, tap: {namespace: box, address: [10.1.0.9/24, "fd01::9/64"]}}
              other: {network: green, tap: {namespace: other, address: [10.1.0.8/24]}}
            """

        @Test(
            "four at once, of three kinds of network card and two of processor, with a namespace")
        func fourKinds() throws {
            try withTopology(Self.topology) { lab in
                let virtio = try Guest(
                    in: lab, "virtio", GuestNIC(mac: "52:54:00:00:00:01", .tap("vm-virtio")))
                let e1000 = try Guest(
                    in: lab, "e1000", GuestNIC(.e1000, mac: "52:54:00:00:00:02", .tap("vm-e1000")))
                let rtl8139 = try Guest(
                    in: lab, "rtl8139",
                    GuestNIC(.rtl8139, mac: "52:54:00:00:00:03", .tap("nic-rtl8139")))
                let arm64 = try Guest(
                    in: lab, "arm64", .arm64,
                    GuestNIC(mac: "52:54:00:00:00:04", .tap("nic-arm64")))
                try boot(virtio, e1000, rtl8139, arm64)
                let guests = [virtio, e1000, rtl8139, arm64]
                let stations = try guests.enumerated().map {
                    try Station($1, number: $0 + 1)
                }

                // Two are not on the switch until their device says so.
                #expect(try virtio.reaches("10.1.0.2"))
                #expect(try rtl8139.isApart(from: "10.1.0.1"))
                // Of an alias on a device that is down the kernel tells nobody.
                for device in ["nic-rtl8139", "nic-arm64"] {
                    try lab.sh("ip link set \(device) alias heddle:network=blue")
                    try lab.wait(for: device)
                }
                try expectReached(among: stations, and: ["10.1.0.9", "fd01::9"])

                #expect(
                    try virtio.sendStream(to: e1000, "10.1.0.2", byteCount: 3_000_000) == 3_000_000)
                #expect(
                    try e1000.sendStream(to: rtl8139, "10.1.0.3", byteCount: 1_000_000) == 1_000_000
                )
                #expect(
                    try lab.sendStream(from: "box", to: virtio, "10.1.0.1", byteCount: 5_000_000)
                        == 5_000_000)
                #expect(
                    try lab.sendStream(from: virtio, to: "box", "10.1.0.9", byteCount: 5_000_000)
                        == 5_000_000)

                // Another network: the others are gone, and a namespace that has been there is reached.
                try lab.sh("ip link set nic-rtl8139 alias heddle:network=green")
                #expect(try rtl8139.reaches("10.1.0.8"))
                #expect(try rtl8139.isApart(from: "10.1.0.1"))
                #expect(try virtio.isApart(from: "10.1.0.8"))

                // A port lives as long as its machine.
                for guest in [arm64, rtl8139, e1000] { try guest.stop() }
                #expect(try virtio.reaches("10.1.0.9"), "the others' end is nothing to it")
                try virtio.stop()
                for port in ["nic-arm64", "nic-rtl8139", "vm-e1000", "vm-virtio"] {
                    try lab.wait(for: port, exists: false)
                }
            }
        }

        @Test("a machine that migrates between two TAPs loses what its own standstill explains")
        func migration() throws {
            try withTopology(Self.topology) { lab in
                let socket = lab.directory + "/migration"
                let before = try Guest(
                    in: lab, "before", GuestNIC(mac: "52:54:00:00:00:01", .tap("vm-before")))
                // Its TAP is on the switch all the time, and nothing comes from there.
                let after = try Guest(
                    in: lab, "after", GuestNIC(mac: "52:54:00:00:00:01", .tap("vm-after")),
                    incoming: socket)
                try boot(before)
                try before.setUp("10.1.0.1/24")
                #expect(try before.reaches("10.1.0.9"))
                let outcome = try MigrationTraffic.run(
                    lab, from: before, to: after, over: socket, guest: "10.1.0.1",
                    namespace: "box", at: "10.1.0.9")
                #expect(outcome.isExplained, "\(outcome)")
                try after.stop()
            }
        }
    }
}
