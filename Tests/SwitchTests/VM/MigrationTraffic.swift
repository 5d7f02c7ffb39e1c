import Foundation
import TestSupport

/// Numbered datagrams between a guest and a namespace, both ways, while the guest moves from one emulator
/// to another.
struct MigrationTraffic {
    /// Datagrams a second, each way.
    static let rate = 200
    private static let ports = (toGuest: 9000, toNamespace: 9001)

    private let lab: Lab
    private let sender: LabProcess
    private let receiver: LabProcess

    /// What became of the datagrams, and of the guest.
    struct Outcome {
        let toGuest: NumberedStream.Account
        let fromGuest: NumberedStream.Account
        let migration: GuestMonitor.Migration

        /// Nothing was lost or repeated but, on the way to the guest, what came while it stood still.
        ///
        /// How long that was the guest's own datagrams tell: QEMU's downtime ends when the state has
        /// been sent, and an emulator that then has to start on a busy machine takes up to
        /// a second more. The 100 ms are for the way of the guest's first frame.
        var isExplained: Bool {
            let standstill = max(
                migration.downtimeMilliseconds, fromGuest.longestGapMilliseconds)
            let bound = MigrationTraffic.rate * (standstill + 100) / 1000
            return standstill < 5000 && toGuest.received > 0 && toGuest.first == 0
                && toGuest.last + 1 == toGuest.sent && toGuest.missing <= UInt64(bound)
                && toGuest.duplicates == 0 && fromGuest.isPerfect
        }
    }

    /// Begins to send; both must know each other's address by now.
    private init(
        _ lab: Lab, _ guest: Guest, at address: String, _ namespace: String, at own: String
    )
        throws
    {
        self.lab = lab
        let ports = Self.ports
        try guest.sh(
            "peer udp-receive \(ports.toGuest) 100 >/tmp/received 2>&1 & echo $! >/tmp/pid")
        receiver = try lab.peer(["udp-receive", "\(ports.toNamespace)"], in: namespace)
        // The guest's sender ends by itself, before it is asked.
        try guest.sh(
            "peer udp-send \(own) \(ports.toNamespace) \(Self.rate) 100 >/tmp/sent 2>&1 &"
                + " echo $! >/tmp/sender")
        sender = try lab.peer(
            ["udp-send", address, "\(ports.toGuest)", "\(Self.rate)", "100"], in: namespace)
    }

    /// Moves the guest while datagrams go both ways; the emulator that it left ends.
    static func run(
        _ lab: Lab, from before: Guest, to after: Guest, over socket: String,
        guest address: String, namespace: String, at own: String
    ) throws -> Outcome {
        let traffic = try MigrationTraffic(lab, before, at: address, namespace, at: own)
        usleep(1_000_000)
        let migration = try before.monitor.migrate(to: socket)
        usleep(2_000_000)
        try before.stop()
        usleep(500_000)
        return try traffic.finish(after, migration)
    }

    private func finish(_ guest: Guest, _ migration: GuestMonitor.Migration) throws -> Outcome {
        let sent = try count(of: sender.finish())
        usleep(300_000)
        try guest.sh("kill $(cat /tmp/pid) $(cat /tmp/sender); sleep 0.5")
        var toGuest = try account(lastLine(guest.sh("cat /tmp/received")))
        toGuest.sent = sent
        usleep(300_000)
        var fromGuest = try account(receiver.finish())
        fromGuest.sent = try count(of: lastLine(guest.sh("cat /tmp/sent")))
        return Outcome(toGuest: toGuest, fromGuest: fromGuest, migration: migration)
    }

    private func lastLine(_ text: String) -> String {
        text.split(separator: "\n").last.map(String.init) ?? ""
    }

    private func account(_ json: String) throws -> NumberedStream.Account {
        try JSONDecoder().decode(NumberedStream.Account.self, from: Data(json.utf8))
    }

    private func count(of json: String) throws -> UInt64 {
        struct Sent: Decodable { let sent: UInt64 }
        return try JSONDecoder().decode(Sent.self, from: Data(json.utf8)).sent
    }
}
