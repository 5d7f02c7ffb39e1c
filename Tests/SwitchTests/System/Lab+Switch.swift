import ControlAPI
import Foundation
import TestSupport
import Testing

/// An address of a host of the lab, in a namespace.
struct Host: Hashable, Sendable {
    let namespace: String
    let address: String

    init(_ namespace: String, _ address: String) {
        self.namespace = namespace
        self.address = address
    }
}

/// Who reached whom, as a set of "from > to", so that a difference reads well.
typealias Reached = Set<String>

/// Every pair of hosts whose groups are the same, both ways.
func pairs(within groups: [[Host]]) -> Reached {
    var result: Reached = []
    for group in groups {
        for from in group {
            for to in group where to != from {
                result.insert("\(from.namespace) > \(to.namespace)")
            }
        }
    }
    return result
}

extension Lab {
    // MARK: Listings

    /// The JSON of a client command.
    func json<Value: APIValue>(_ arguments: String..., as type: Value.Type) throws -> Value {
        let output = try run([Lab.heddlePath] + arguments + ["--output", "json"])
        guard output.status == 0 else {
            throw Failure(
                "heddle \(arguments) ended with \(output.status): \(output.standardError)")
        }
        return try Value(json: output.standardOutput)
    }

    func port(_ name: String) throws -> PortInfo {
        try json("port", "show", name, as: PortInfo.self)
    }

    /// How many frames a port dropped for a reason.
    func drops(_ reason: String, port: String) throws -> UInt64 {
        try json("drops", as: DropList.self).drops
            .filter { $0.port == port && $0.reason == reason }.reduce(0) { $0 + $1.count }
    }

    /// Applies a file that must be good; what the command printed.
    @discardableResult
    func apply(_ file: String) throws -> String {
        let output = try heddle("topology", "apply", file)
        guard output.status == 0 else { throw Failure("apply: \(output.standardError)") }
        return output.text
    }

    /// Waits until a port is in a state; false when it is not within five seconds.
    func port(_ name: String, becomes state: PortState) throws -> Bool {
        for _ in 0..<50 {
            if try port(name).state == state { return true }
            usleep(50_000)
        }
        return false
    }

    // MARK: Reachability

    /// Whether one ping in two is answered.
    func ping(from namespace: String, _ address: String) throws -> Bool {
        try run(
            ["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", address], in: namespace
        ).status == 0
    }

    /// Pings from every host to every other, all at once.
    func pings(among hosts: [Host]) throws -> Reached {
        try attempts(among: hosts) { "ping -q -c 2 -i 0.2 -W 1 \($0)" }
    }

    /// Opens a TCP connection from every host to every other, all at once, and sends through it.
    func connections(among hosts: [Host]) throws -> Reached {
        let listeners = try Set(hosts.map(\.namespace)).map {
            try peer(["tcp-receive", "7000"], in: $0)
        }
        defer { for listener in listeners { _ = try? listener.finish() } }
        return try attempts(among: hosts) { "\(Lab.peerPath) tcp-send \($0) 7000 20000" }
    }

    private func attempts(
        among hosts: [Host], _ command: (String) -> String
    ) throws -> Reached {
        var script = ""
        for from in hosts {
            for to in hosts where to != from {
                script +=
                    "(nsenter --net=/run/netns/\(from.namespace) \(command(to.address)) "
                    + ">/dev/null 2>&1 && echo '\(from.namespace) > \(to.namespace)' || true) &\n"
            }
        }
        return Set(try sh(script + "wait").split(separator: "\n").map(String.init))
    }

    // MARK: Traffic

    /// Starts numbered UDP datagrams from one host to another, which know each other's MAC address by
    /// now: what is lost from here on, somebody lost.
    func stream(
        from: String, to: Host, port: Int = 9000, rate: Int = 1000
    ) throws -> NumberedStream {
        guard try ping(from: from, to.address) else {
            throw Failure("\(from) does not reach \(to.address)")
        }
        let receiver = try peer(["udp-receive", "\(port)"], in: to.namespace)
        let sender = try peer(
            ["udp-send", to.address, "\(port)", "\(rate)", "100"], in: from)
        return NumberedStream(sender: sender, receiver: receiver)
    }
}

/// A stream of numbered datagrams that is under way.
struct NumberedStream {
    let sender: LabProcess
    let receiver: LabProcess

    /// What became of the datagrams.
    struct Account: Decodable {
        var received: UInt64
        var first: UInt64
        var last: UInt64
        var missing: UInt64
        var duplicates: UInt64
        var reordered: UInt64
        /// What the receiver's own socket had no room for.
        var overflow: UInt64
        var longestGapMilliseconds: Int
        var sent: UInt64 = 0

        enum CodingKeys: String, CodingKey {
            case received, first, last, missing, duplicates, reordered, overflow
            case longestGapMilliseconds = "longest_gap_ms"
        }

        /// Every datagram came once, in order.
        var isPerfect: Bool {
            sent > 0 && received == sent && first == 0 && last == sent - 1 && missing == 0
                && duplicates == 0 && reordered == 0
        }
    }

    private struct Sent: Decodable {
        var sent: UInt64
    }

    /// Ends the stream and counts.
    func finish() throws -> Account {
        let sent = try JSONDecoder().decode(Sent.self, from: Data(try sender.finish().utf8))
        usleep(200_000)
        var account = try JSONDecoder().decode(
            Account.self, from: Data(try receiver.finish().utf8))
        account.sent = sent.sent
        return account
    }
}

/// A frame as the test peer logged it.
struct LoggedFrame: Decodable {
    struct Tag: Decodable, Equatable {
        var tpid: UInt16 = 0x8100
        var pcp: UInt8 = 0
        var vid: UInt16
    }

    var to: String
    var from: String
    var tags: [Tag]
    var type: UInt16
    var length: Int
    var bytes: String

    /// The frames in a peer's log.
    static func log(of peer: LabProcess) throws -> [LoggedFrame] {
        try peer.output.split(separator: "\n").filter { $0.hasPrefix(#"{"to""#) }
            .map { try JSONDecoder().decode(LoggedFrame.self, from: Data($0.utf8)) }
    }
}
