import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// None of these needs a privilege on the hypervisor's side.
    @Suite(
        "Virtual machines on sockets",
        .enabled(if: GuestImages.areAvailable, "\(GuestImages.needed)"))
    struct SocketGuests {
        private static func topology(_ directory: String) -> String {
            """
            heddle: 1
            networks: {blue: {vlan: 10}}
            ports:
              server: {network: blue, socket: {path: /run/heddle/s, protocol: qemu-stream}}
              client:
                network: blue
                socket: {path: \(directory)/c, protocol: qemu-stream, mode: client}
              datagrams:
                network: blue
                socket: {path: /run/heddle/d, protocol: qemu-dgram, peer: \(directory)/d}
              vde: {network: blue, socket: {path: /run/heddle/vde, protocol: vde}}
              box: {network: blue, tap: {namespace: box, address: [10.1.0.9/24, "fd01::9/64"]}}
            """
        }

        @Test("stream both ways round, datagrams and VDE reach each other and a namespace")
        func qemu() throws {
            try Lab.with { lab in
                let process = try lab.startSwitch(
                    try lab.file("topology.yaml", Self.topology(lab.directory)))
                let stream = try Guest(
                    in: lab, "stream",
                    GuestNIC(
                        mac: "52:54:00:00:00:01", .stream("/run/heddle/s", isServer: false)))
                let server = GuestNIC(
                    .e1000, mac: "52:54:00:00:00:02",
                    .stream(lab.directory + "/c", isServer: true))
                let streamServer = try Guest(in: lab, "stream-server", server)
                let datagrams = try Guest(
                    in: lab, "datagrams",
                    GuestNIC(
                        .rtl8139, mac: "52:54:00:00:00:03",
                        .datagrams(lab.directory + "/d", to: "/run/heddle/d")))
                let vde = try Guest(
                    in: lab, "vde", .arm64,
                    GuestNIC(mac: "52:54:00:00:00:04", .vde("/run/heddle/vde")))
                try boot(stream, streamServer, datagrams, vde)
                let guests = [stream, streamServer, datagrams, vde]
                let stations = try guests.enumerated().map {
                    try Station($1, number: $0 + 1)
                }
                try expectReached(among: stations, and: ["10.1.0.9", "fd01::9"])

                #expect(
                    try stream.sendStream(to: datagrams, "10.1.0.3", byteCount: 1_000_000)
                        == 1_000_000)
                #expect(
                    try streamServer.sendStream(to: stream, "10.1.0.1", byteCount: 1_000_000)
                        == 1_000_000)
                #expect(
                    try lab.sendStream(from: "box", to: stream, "10.1.0.1", byteCount: 2_000_000)
                        == 2_000_000)
                #expect(
                    try lab.sendStream(from: stream, to: "box", "10.1.0.9", byteCount: 2_000_000)
                        == 2_000_000)

                // A machine that is started anew finds its port, whoever of the two connects.
                try stream.stop()
                try streamServer.stop()
                try vde.stop()
                #expect(try datagrams.reaches("10.1.0.9"), "the others' end is nothing to it")
                let again = try Guest(
                    in: lab, "stream-again",
                    GuestNIC(
                        mac: "52:54:00:00:00:11", .stream("/run/heddle/s", isServer: false)))
                let serverAgain = try Guest(in: lab, "stream-server-again", server)
                try boot(again, serverAgain)
                try again.setUp("10.1.0.1/24")
                try serverAgain.setUp("10.1.0.2/24")
                #expect(try again.reaches("10.1.0.2"))
                #expect(try serverAgain.reaches("10.1.0.3"))
                for guest in [again, serverAgain, datagrams] { try guest.stop() }
                try process.finish()
                #expect(try lab.leftovers() == [], "\(process.standardError)")
            }
        }

        @Test("user-mode Linux over bess reaches its like and a namespace")
        func userMode() throws {
            try withTopology(
                """
                heddle: 1
                networks: {blue: {vlan: 10}}
                ports:
                  one: {network: blue, socket: {path: /run/heddle/one, protocol: bess}}
                  two: {network: blue, socket: {path: /run/heddle/two, protocol: bess}}
                  box: {network: blue, tap: {namespace: box, address: [10.1.0.9/24, "fd01::9/64"]}}
                """
            ) { lab in
                let one = try Guest(
                    in: lab, "one", .userMode,
                    GuestNIC(mac: "52:54:00:00:00:01", .bess("/run/heddle/one")))
                let two = try Guest(
                    in: lab, "two", .userMode,
                    GuestNIC(mac: "52:54:00:00:00:02", .bess("/run/heddle/two")))
                try boot(one, two)
                let stations = [try Station(one, number: 1), try Station(two, number: 2)]
                try expectReached(among: stations, and: ["10.1.0.9", "fd01::9"])
                #expect(try one.sendStream(to: two, "10.1.0.2", byteCount: 5_000_000) == 5_000_000)
                #expect(
                    try lab.sendStream(from: "box", to: one, "10.1.0.1", byteCount: 5_000_000)
                        == 5_000_000)
                #expect(
                    try lab.sendStream(from: two, to: "box", "10.1.0.9", byteCount: 5_000_000)
                        == 5_000_000)
                for guest in [one, two] { try guest.stop() }
            }
        }
    }
}
