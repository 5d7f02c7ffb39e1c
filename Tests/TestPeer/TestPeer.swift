import CLinux
import Foundation
import Glibc
import TestSupport
import Wire

/// Plays hosts that the kernel or the usual tools cannot, for tests in namespaces:
///
///     TestPeer trunk DEVICE ADDRESS/VLAN…     answers ARP and ICMP echo, logs every frame
///     TestPeer watch DEVICE [MAC]             logs every frame, or those to one address
///     TestPeer frames DEVICE HEX…             sends frames as they are given
///     TestPeer flood DEVICE COUNT SECONDS     sends with that many source addresses
///     TestPeer udp-send ADDRESS PORT RATE SECONDS [DELAY]
///     TestPeer udp-receive PORT               numbered datagrams: what arrived, and how
///     TestPeer tcp-send ADDRESS PORT BYTES [RATE]
///     TestPeer tcp-receive PORT               counts what each connection brought
///
/// A VLAN is a number; `-` stands for untagged, `pN` for a tag of VID 0 and priority N, and a
/// number may be followed by `pN` as well. Every line of output is JSON. What runs until it is told
/// to end does so on SIGTERM or SIGINT and then prints its result; `ready` comes first.
@main
enum TestPeer {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            try run(arguments.first ?? "", Array(arguments.dropFirst()))
        } catch {
            FileHandle.standardError.write(Data("TestPeer: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ mode: String, _ arguments: [String]) throws {
        switch (mode, arguments.count) {
        case ("trunk", 1...):
            try TrunkPeer(device: arguments[0], hosts: arguments.dropFirst()).run()
        case ("watch", 1):
            try TrunkPeer(device: arguments[0], hosts: []).run()
        case ("watch", 2):
            try TrunkPeer(
                device: arguments[0], hosts: [], only: try value(arguments[1], MACAddress.init)
            ).run()
        case ("frames", 2...):
            let socket = try PacketSocket(device: arguments[0], receives: false)
            for frame in arguments.dropFirst() {
                while try !socket.send(Hex.bytes(frame)) { usleep(100) }
            }
        case ("flood", 3):
            try MACFlood(
                device: arguments[0], addressCount: try number(arguments[1]),
                seconds: try value(arguments[2], Double.init)
            ).run()
        case ("udp-send", 4), ("udp-send", 5):
            try UDPStream.send(
                to: arguments[0], port: UInt16(try number(arguments[1])),
                rate: try value(arguments[2], Double.init),
                seconds: try value(arguments[3], Double.init))
        case ("udp-receive", 1):
            try UDPStream.receive(port: UInt16(try number(arguments[0])))
        case ("tcp-send", 3), ("tcp-send", 4):
            try TCPStream.send(
                to: arguments[0], port: UInt16(try number(arguments[1])),
                byteCount: try number(arguments[2]),
                bytesPerSecond: arguments.count > 3 ? try number(arguments[3]) : nil)
        case ("tcp-receive", 1):
            try TCPStream.receive(port: UInt16(try number(arguments[0])))
        default:
            throw Usage(description: "what is '\(([mode] + arguments).joined(separator: " "))'?")
        }
    }

    struct Usage: Error, CustomStringConvertible {
        let description: String
    }

    static func value<Value>(_ text: String, _ parse: (String) -> Value?) throws -> Value {
        guard let value = parse(text) else { throw Usage(description: "what is '\(text)'?") }
        return value
    }

    static func number(_ text: String) throws -> Int { try value(text) { Int($0) } }

    /// Prints a line at once, whatever standard output is.
    static func print(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(1, bytes, bytes.count)
    }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A descriptor that becomes readable when SIGTERM or SIGINT comes.
    static func endSignals() -> Int32 {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        sigprocmask(SIG_BLOCK, &signals, nil)
        return signalfd(-1, &signals, Int32(SFD_CLOEXEC))
    }

    static func isReadable(_ descriptor: Int32, timeoutMilliseconds: Int32 = 0) -> Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, timeoutMilliseconds) > 0
    }

    /// An IPv4 socket address.
    static func address(_ text: String, port: UInt16) throws -> sockaddr_in {
        let ip = try value(text) { IPv4Address($0) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = ip.rawValue.bigEndian
        return address
    }

    static func withAddress<Result>(
        _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
