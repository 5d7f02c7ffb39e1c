import ControlAPI
import Foundation
import TestSupport
import Testing

/// What guests of one test send each other. Every check is of content: a ping's payload is compared by the
/// one who sent it, a TCP stream's bytes by the one who gets them.
extension Guest {
    /// Whether one of three pings is answered: the first may wait for ARP.
    func reaches(_ address: String, byteCount: Int = 56) throws -> Bool {
        try (0..<3).contains { _ in
            try run("ping -q -c 1 -W 2 -s \(byteCount) \(address)").status == 0
        }
    }

    /// Whether a single ping to nobody goes unanswered.
    func isApart(from address: String) throws -> Bool {
        try run("ping -q -c 2 -W 1 \(address)").status != 0
    }

    /// Sends a TCP stream to another guest; how many bytes came right.
    func sendStream(
        to other: Guest, _ address: String, byteCount: Int, port: Int = 7000
    ) throws -> Int {
        let receiver = try other.beginReceiving(port: port)
        try sh("timeout 55 peer tcp-send \(address) \(port) \(byteCount)", seconds: 60)
        return try other.finishReceiving(receiver)
    }

    /// Begins to receive a TCP stream.
    func beginReceiving(port: Int) throws -> Command {
        let receiver = try begin("timeout 60 peer tcp-receive \(port)")
        try wait(for: #"{"ready":true}"#, from: receiver)
        return receiver
    }

    /// How many bytes of the stream came right.
    func finishReceiving(_ receiver: Command) throws -> Int {
        struct Received: Decodable { let right: Int }
        let line = lastLine(of: try finish(receiver).text)
        return try JSONDecoder().decode(Received.self, from: Data(line.utf8)).right
    }
}

extension Lab {
    /// Waits until there is a port of a name, or none.
    func wait(for port: String, exists: Bool = true) throws {
        var names: [String] = []
        for _ in 0..<100 {
            names = try json("port", "list", as: PortList.self).ports.map(\.name)
            if names.contains(port) == exists { return }
            usleep(100_000)
        }
        throw Failure("port \(port) should \(exists ? "" : "not ")be among \(names)")
    }

    /// Sends a TCP stream from a namespace to a guest; how many bytes came right.
    func sendStream(
        from namespace: String, to guest: Guest, _ address: String, byteCount: Int,
        port: Int = 7000
    ) throws -> Int {
        let receiver = try guest.beginReceiving(port: port)
        let sent = try run(
            [Lab.peerPath, "tcp-send", address, "\(port)", "\(byteCount)"], in: namespace,
            timeoutSeconds: 60)
        guard sent.status == 0 else { throw Failure("tcp-send: \(sent.standardError)") }
        return try guest.finishReceiving(receiver)
    }

    /// Sends a TCP stream from a guest to a namespace; how many bytes came right.
    func sendStream(
        from guest: Guest, to namespace: String, _ address: String, byteCount: Int,
        port: Int = 7000
    ) throws -> Int {
        struct Acknowledged: Decodable { let acknowledged: Int }
        let receiver = try peer(["tcp-receive", "\(port)"], in: namespace)
        let sent = try guest.sh(
            "timeout 55 peer tcp-send \(address) \(port) \(byteCount)", seconds: 60)
        try receiver.finish()
        return try JSONDecoder().decode(
            Acknowledged.self, from: Data(lastLine(of: sent).utf8)
        ).acknowledged
    }
}

/// A guest and its addresses.
struct Station {
    let guest: Guest
    let addresses: [String]

    /// Sets the guest's network card up.
    init(_ guest: Guest, number: Int) throws {
        self.guest = guest
        addresses = ["10.1.0.\(number)", "fd01::\(number)"]
        try guest.setUp(addresses[0] + "/24", addresses[1] + "/64")
    }
}

/// Checks that each of these reaches each, and others, by IPv4 and IPv6 in large frames. Every one that does
/// not takes seconds: three are enough.
func expectReached(
    among stations: [Station], and others: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var unreached: [String] = []
    for from in stations {
        let targets = stations.filter { $0.guest !== from.guest }.flatMap(\.addresses) + others
        for address in targets where unreached.count < 3 {
            if try !from.guest.reaches(address, byteCount: 1400) {
                unreached.append("\(from.guest.name) > \(address)")
            }
        }
    }
    #expect(unreached == [], sourceLocation: sourceLocation)
}

/// The last line of what a program of a guest printed.
private func lastLine(of text: String) -> String {
    text.split(separator: "\n").last.map(String.init) ?? ""
}

/// Waits for guests that were started beside each other.
func boot(_ guests: Guest...) throws {
    for guest in guests { try guest.waitForBoot() }
}
