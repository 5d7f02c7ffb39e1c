import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite(
        "Virtual machines on vhost-user",
        .enabled(if: GuestImages.areAvailable, "\(GuestImages.needed)"))
    struct VhostUserGuests {
        private static func topology(_ directory: String) -> String {
            """
            heddle: 1
            networks: {blue: {vlan: 10}}
            ports:
              client: {network: blue, vhost-user: {socket: \(directory)/client}}
              server: {network: blue, vhost-user: {socket: /run/heddle/server, mode: server}}
              box: {network: blue, tap: {namespace: box, address: [10.1.0.9/24, "fd01::9/64"]}}
            """
        }

        /// Front-ends come back by themselves: QEMU tries once a second.
        private func expectUp(_ lab: Lab) throws {
            #expect(try lab.port("client", becomes: .up))
            #expect(try lab.port("server", becomes: .up))
        }

        @Test(
            "either side may listen; streams between machines; both outlive a restart of the switch"
        )
        func pair() throws {
            try Lab.with { lab in
                let file = try lab.file("topology.yaml", Self.topology(lab.directory))
                var process = try lab.startSwitch(file)
                let one = try Guest(
                    in: lab, "one",
                    GuestNIC(
                        mac: "52:54:00:00:00:01",
                        .vhostUser(lab.directory + "/client", isServer: true, queues: 2)))
                let two = try Guest(
                    in: lab, "two", .arm64,
                    GuestNIC(
                        mac: "52:54:00:00:00:02",
                        .vhostUser("/run/heddle/server", isServer: false)))
                try boot(one, two)
                let stations = [try Station(one, number: 1), try Station(two, number: 2)]
                #expect(try one.sh("ls /sys/class/net/eth0/queues").contains("tx-1"))
                try expectReached(among: stations, and: ["10.1.0.9", "fd01::9"])
                #expect(
                    try lab.sendStream(from: "box", to: one, "10.1.0.1", byteCount: 10_000_000)
                        == 10_000_000)
                #expect(
                    try lab.sendStream(from: one, to: "box", "10.1.0.9", byteCount: 10_000_000)
                        == 10_000_000)

                try process.finish()
                process = try lab.startSwitch(file)
                try expectUp(lab)
                try expectReached(among: stations, and: ["10.1.0.9"])
                // And one that does not get to say good-bye.
                try process.send(SIGKILL)
                _ = try? process.waitForEnd()
                process = try lab.startSwitch(file)
                try expectUp(lab)
                try expectReached(among: stations, and: ["10.1.0.9"])

                for guest in [one, two] { try guest.stop() }
                try process.finish()
                #expect(try lab.leftovers() == [], "\(process.standardError)")
            }
        }

        @Test("streams between two x86 machines arrive as they were sent")
        func streams() throws {
            try Lab.with { lab in
                let process = try lab.startSwitch(
                    try lab.file("topology.yaml", Self.topology(lab.directory)))
                let one = try Guest(
                    in: lab, "one",
                    GuestNIC(
                        mac: "52:54:00:00:00:01",
                        .vhostUser(lab.directory + "/client", isServer: true)))
                let two = try Guest(
                    in: lab, "two",
                    GuestNIC(
                        mac: "52:54:00:00:00:02",
                        .vhostUser("/run/heddle/server", isServer: false)))
                try boot(one, two)
                let stations = [try Station(one, number: 1), try Station(two, number: 2)]
                try expectReached(among: stations)
                #expect(
                    try one.sendStream(to: two, "10.1.0.2", byteCount: 10_000_000) == 10_000_000)
                #expect(
                    try two.sendStream(to: one, "10.1.0.1", byteCount: 10_000_000) == 10_000_000)
                // A machine that is started anew finds its port.
                try two.stop()
                #expect(try one.reaches("10.1.0.9"))
                let again = try Guest(
                    in: lab, "again",
                    GuestNIC(
                        mac: "52:54:00:00:00:12",
                        .vhostUser("/run/heddle/server", isServer: false)))
                try boot(again)
                try again.setUp("10.1.0.2/24")
                #expect(try again.reaches("10.1.0.1"))
                for guest in [one, again] { try guest.stop() }
                try process.finish()
                #expect(try lab.leftovers() == [], "\(process.standardError)")
            }
        }

        @Test("a machine that migrates loses what its own standstill explains")
        func migration() throws {
            try Lab.with { lab in
                let process = try lab.startSwitch(
                    try lab.file("topology.yaml", Self.topology(lab.directory)))
                let socket = lab.directory + "/migration"
                let before = try Guest(
                    in: lab, "before",
                    GuestNIC(
                        mac: "52:54:00:00:00:01",
                        .vhostUser(lab.directory + "/client", isServer: true)))
                let after = try Guest(
                    in: lab, "after",
                    GuestNIC(
                        mac: "52:54:00:00:00:01",
                        .vhostUser("/run/heddle/server", isServer: false)),
                    incoming: socket)
                try boot(before)
                try before.setUp("10.1.0.1/24")
                #expect(try before.reaches("10.1.0.9"))
                let outcome = try MigrationTraffic.run(
                    lab, from: before, to: after, over: socket, guest: "10.1.0.1",
                    namespace: "box", at: "10.1.0.9")
                #expect(outcome.isExplained, "\(outcome)")
                #expect(
                    try lab.sendStream(from: "box", to: after, "10.1.0.1", byteCount: 2_000_000)
                        == 2_000_000)
                try after.stop()
                try process.finish()
                #expect(try lab.leftovers() == [], "\(process.standardError)")
            }
        }
    }
}
