import Dataplane
import Netlink
import Ports
import Topology
import Trace
import Wire

/// A tunnel that exists: its declaration and what is known of the way.
struct LiveTunnel: Sendable {
    var spec: TunnelSpec
    /// Stays with the name across restarts; ports and tunnels share one range of numbers.
    let number: UInt16
    /// As the kernel's routes have it.
    var path: PathState
    /// What the peer's answers to probes say; nil while none are sent.
    var probe: ProbeState?

    /// Why nothing can be sent; nil when something can.
    var reason: String? {
        if !path.isUp { return path.reason ?? "there is no way to \(spec.remote)" }
        if probe == .down {
            return "host '\(spec.host)' no longer answers probes, though there is a route to it"
        }
        return nil
    }

    /// The largest inner IP packet that fits the path.
    var maximumPacketByteCount: Int {
        spec.overhead.maximumPacketByteCount(underlayMTU: path.mtu ?? LiveTunnel.assumedMTU)
    }

    /// What is taken for the underlay's MTU until the kernel has told: Ethernet's.
    static let assumedMTU = 1500
}

/// The sockets of one encapsulation.
struct LiveUnderlay: Sendable {
    let spec: UnderlaySpec
    let number: UInt16
    let sockets: any UnderlaySockets

    /// Opens the sockets, in the network namespace of the calling thread.
    static func open(_ spec: UnderlaySpec, number: UInt16) throws(PortError) -> LiveUnderlay {
        do {
            return try openSockets(spec, number: number)
        } catch .underlayPortTaken(let kind, let address, let port, _) {
            let links = (try? NetlinkSocket().links()) ?? []
            throw .underlayPortTaken(
                kind: kind, address: address, port: port,
                device: links.first { $0.tunnelPort == port && $0.flags.contains(.up) }?.name)
        }
    }

    private static func openSockets(
        _ spec: UnderlaySpec, number: UInt16
    ) throws(PortError) -> LiveUnderlay {
        let local = UnderlayAddress(spec.local)
        let kind = spec.kind.rawValue
        let sockets: any UnderlaySockets
        if let port = spec.port {
            sockets = try UDPUnderlay(kind: kind, local: local, port: port)
        } else {
            sockets = try RawUnderlay(kind: kind, local: local)
        }
        return LiveUnderlay(spec: spec, number: number, sockets: sockets)
    }
}

/// Sockets of an underlay as the control side uses them, from any thread.
protocol UnderlaySockets: Underlay {
    /// Datagrams that the kernel refused because they no longer fit the path; it only grows.
    var pathMTUErrors: UInt64 { get }
    /// Sends one datagram beside the worker's; whether it left.
    func sendProbe(_ datagram: UnsafeRawBufferPointer, to destination: UnderlayAddress) -> Bool
}

extension UDPUnderlay: UnderlaySockets {}
extension RawUnderlay: UnderlaySockets {}
