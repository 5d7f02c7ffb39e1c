import ControlAPI
import Foundation
import TestSupport
import Testing

/// Two hosts with a Heddle each and two tenants: blue is web-1 on alpha and web-2 on beta, green is
/// db-1 and db-2.
struct TwoHosts {
    let lab: Lab
    let underlay: Underlay
    let file: String
    let alpha: LabProcess
    let beta: LabProcess

    /// - Parameters:
    ///   - overlay: the file's `overlay`.
    ///   - mtu: of the networks.
    static func topology(overlay: String = "{kind: vxlan}", mtu: Int = 1450, isSix: Bool = false)
        -> String
    {
        let addresses = isSix ? ["fd00:db8::1", "fd00:db8::2"] : ["192.0.2.1", "192.0.2.2"]
        func tap(_ name: String, _ number: Int) -> String {
            #"tap: {namespace: \#(name), address: [10.9.0.\#(number)/24, "fd00:9::\#(number)/64"]}"#
        }
        return """
            heddle: 1
            hosts:
              alpha: {underlay: "\(addresses[0])"}
              beta: {underlay: "\(addresses[1])"}
            overlay: \(overlay)
            networks:
              blue: {vni: 10010, mtu: \(mtu)}
              green: {vni: 10020, mtu: \(mtu)}
            ports:
              web-1: {host: alpha, network: blue, \(tap("web-1", 1))}
              web-2: {host: beta, network: blue, \(tap("web-2", 2))}
              db-1: {host: alpha, network: green, \(tap("db-1", 3))}
              db-2: {host: beta, network: green, \(tap("db-2", 4))}

            """
    }

    /// Runs the body once web-1 reaches web-2, then ends both switches, which must leave nothing.
    static func with(
        overlay: String = "{kind: vxlan}", mtu: Int = 1450, isSix: Bool = false,
        _ body: (TwoHosts) throws -> Void
    ) throws {
        try Lab.with { lab in
            let underlay = try Underlay(
                lab,
                isSix
                    ? ["alpha": "fd00:db8::1/64", "beta": "fd00:db8::2/64"]
                    : ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
            let file = try lab.file(
                "hosts.yaml", topology(overlay: overlay, mtu: mtu, isSix: isSix))
            let hosts = TwoHosts(
                lab: lab, underlay: underlay, file: file,
                alpha: try underlay.start("alpha", file), beta: try underlay.start("beta", file))
            #expect(try underlay.pings("web-1", "10.9.0.2"))
            try body(hosts)
            try underlay.end([hosts.alpha, hosts.beta])
        }
    }

    /// The tunnel of alpha to beta, or of beta to alpha.
    func tunnel(of host: String) throws -> TunnelInfo {
        try #require(try underlay.tunnels(of: host).first)
    }

    /// Does something to the underlay, and waits until a switch says something about it in its log;
    /// the seconds from the one to the other.
    static func seconds(
        until process: LabProcess, says what: String, after action: () throws -> Void
    ) throws -> Double {
        func count() -> Int { process.standardError.components(separatedBy: what).count }
        let before = count()
        try action()
        let start = Date()
        try process.wait("it says '\(what)'", seconds: 10) { _ in count() > before }
        return Date().timeIntervalSince(start)
    }
}

extension Underlay {
    /// Ends the switches of all hosts and checks that neither device, namespace, socket, process nor
    /// control socket is left.
    func end(_ processes: [LabProcess]) throws {
        for (process, host) in zip(processes, hosts) {
            #expect(try finish(process, on: host) == [], "devices left on \(host)")
            let sockets = try lab.sh(
                "for table in udp udp6 raw raw6; do tail -n +2 /proc/net/$table; done", in: host)
            #expect(sockets == "", "sockets left on \(host)")
            let files = try lab.sh("ls /run/heddle-\(host)").split(separator: "\n")
            #expect(files.filter { $0 != "state" && !$0.hasSuffix(".lock") } == [])
        }
        #expect(try lab.namespaces().sorted() == hosts.sorted())
        let left = try lab.sh("cat /proc/[0-9]*/comm").split(separator: "\n")
            .filter { ["heddle", "TestPeer", "ping"].contains($0) }
        #expect(left == [], "processes left")
    }

    /// Everything that a host's Heddle dropped so far, by reason.
    func drops(on host: String) throws -> [String: UInt64] {
        let list = try lab.json(
            "drops", "--socket", "/run/heddle-\(host)/heddle.sock", as: DropList.self)
        return list.drops.reduce(into: [:]) { $0[$1.reason, default: 0] += $1.count }
    }

    /// Sends frames by a device, as they are.
    func send(_ frames: [String], by device: String, in namespace: String) throws {
        let sent = try lab.run([Lab.peerPath, "frames", device] + frames, in: namespace)
        guard sent.status == 0 else { throw Lab.Failure(sent.standardError) }
    }

    /// A broadcast of an EtherType that is nobody's, with bytes to know it by.
    static func broadcast(from mac: String, marker: String) -> String {
        "ffffffffffff" + mac.filter { $0 != ":" } + "88b5" + String(repeating: marker, count: 23)
    }
}

extension LoggedFrame {
    /// The frames in a peer's log whose first bytes contain some.
    static func count(in peer: LabProcess, with marker: String) throws -> Int {
        try log(of: peer).filter { $0.bytes.contains(String(repeating: marker, count: 8)) }.count
    }
}
