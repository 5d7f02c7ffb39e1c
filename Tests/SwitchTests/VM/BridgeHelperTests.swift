import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite(
        "heddle-bridge-helper",
        .enabled(if: GuestImages.areAvailable, "\(GuestImages.needed)"))
    struct BridgeHelper {
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              box: {network: blue, tap: {namespace: box, address: [10.1.0.9/24, "fd01::9/64"]}}
            """
        /// Without a single capability, now and after each exec.
        private static let unprivileged = [
            "setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
        ]

        @Test("an unprivileged QEMU gets its card from heddle-bridge-helper")
        func guest() throws {
            try withTopology(Self.topology) { lab in
                let helper = lab.directory + "/heddle-bridge-helper"
                try FileManager.default.createSymbolicLink(
                    atPath: helper, withDestinationPath: Lab.heddlePath)
                let refused = try lab.run(
                    Self.unprivileged + ["ip", "tuntap", "add", "own", "mode", "tap"])
                #expect(refused.status != 0, "QEMU could make no TAP itself")
                let guest = try Guest(
                    in: lab, "guest", .x86,
                    GuestNIC(mac: "52:54:00:00:00:01", .bridge("blue", helper: helper)),
                    wrapper: Self.unprivileged)
                try boot(guest)
                let station = try Station(guest, number: 1)
                try expectReached(among: [station], and: ["10.1.0.9", "fd01::9"])
                #expect(
                    try lab.sendStream(from: "box", to: guest, "10.1.0.1", byteCount: 2_000_000)
                        == 2_000_000)
                let port = try #require(
                    try lab.json("port", "list", as: PortList.self).ports
                        .first { $0.origin == .discovered })
                #expect(port.network == "blue" && port.state == .up)
                try guest.stop()
                var names = [port.name]
                for _ in 0..<50 where names.contains(port.name) {
                    usleep(100_000)
                    names = try lab.json("port", "list", as: PortList.self).ports.map(\.name)
                }
                #expect(names == ["box"], "the port went with its machine")
            }
        }

        @Test("a group may have cards on the networks that it was given, and nothing else")
        func group() throws {
            try Lab.with { lab in
                let process = try lab.startSwitch(
                    try lab.file("topology.yaml", Self.topology), ["--nic-group", "0=blue"])
                // The two ends of QEMU's socket: the helper has the one, and what it sent the other.
                func ask(_ network: String, _ request: String) throws -> ExternalTool.Output {
                    try lab.run([
                        "python3", "-c",
                        """
                        import array, json, socket, sys
                        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                        s.connect("/run/heddle/heddle.sock.nic")
                        s.send(json.dumps(\(request)).encode())
                        text, rights, _, _ = s.recvmsg(4096, 64)
                        print(text.decode(), len(rights))
                        """,
                    ])
                }
                let nic = #"{"request": "nic", "network": "NET", "hasHeader": True}"#
                func text(_ network: String) throws -> String {
                    try ask(network, nic.replacingOccurrences(of: "NET", with: network)).text
                }
                #expect(try text("blue").contains(#""ok":true} 1"#))
                #expect(
                    try text("green").contains("not one that this group may use; these are: blue"))
                #expect(
                    try ask("", #"{"request": "namespace", "name": "box"}"#).text
                        .contains("for network cards only"))
                let modes = try lab.sh("stat -c '%a %n' /run/heddle /run/heddle/heddle.sock*")
                #expect(modes.contains("711 /run/heddle\n"))
                #expect(modes.contains("660 /run/heddle/heddle.sock.nic"))
                #expect(modes.contains("600 /run/heddle/heddle.sock\n"))
                #expect(modes.contains("600 /run/heddle/heddle.sock.data"))
                try process.finish()
                #expect(try lab.leftovers() == [])
            }
        }

        @Test("says what is wrong with a network that there is none of, and without a switch")
        func errors() throws {
            try withTopology(Self.topology) { lab in
                let unknown = try lab.heddle(
                    "bridge-helper", "--use-vnet", "--fd", "1", "--br", "bleu")
                #expect(unknown.status == 1)
                #expect(unknown.standardError.contains("'bleu'"))
                #expect(unknown.standardError.contains("blue"))
                let nobody = try lab.run([
                    "env", "HEDDLE_SOCKET=/run/nobody", Lab.heddlePath, "bridge-helper", "--fd",
                    "1", "--br", "blue",
                ])
                #expect(nobody.status == 1)
                #expect(nobody.standardError.contains("no switch answers at /run/nobody"))
            }
        }
    }
}
