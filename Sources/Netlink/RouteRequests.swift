// Which way a datagram to an address would leave, asked of the kernel as sending it would: one
// RTM_GETROUTE request, through policy rules, every table, and what ICMP has taught the kernel about
// the path. So the answer holds for this source and destination, not for the route's prefix.
//
// The kernel answers "no" with an error number, the same for each family (measured on Linux 6.18):
// ENETUNREACH for no route, EHOSTUNREACH, EACCES and EINVAL for routes of the types unreachable,
// prohibit and blackhole. Those are answers here, not errors.

import CLinux
import SystemPackage
import Wire

/// The way to an address.
package struct Route: Equatable, Sendable {
    /// The device that it leaves by.
    package var device: Int32
    /// The next hop, of either family (RFC 5549); nil when the destination is on the link.
    package var gateway: IPAddress?
    /// The source address that the kernel would choose, or the one that was asked for.
    package var source: IPAddress?
    /// The IP MTU of the path where it is less than the device's to the kernel's knowledge: a route's
    /// own, or learned by ICMP; nil where the device's is all there is.
    package var mtu: Int?
    /// Whether the destination is an address of this host.
    package var isLocal: Bool
}

package enum RouteLookup: Equatable, Sendable {
    case route(Route)
    /// There is none. Over IPv4 also when the source is no address of this host.
    case none
    /// A route says that there is no way: senders get "no route to host".
    case unreachable
    /// A route says that sending there is forbidden.
    case prohibited
    /// A route drops silently what is sent there.
    case blackhole
}

extension NetlinkSocket {
    /// The way to `destination` from the address `source`, of the same family; nil: the kernel
    /// chooses.
    package func route(
        to destination: IPAddress, from source: IPAddress? = nil
    ) throws(NetlinkError) -> RouteLookup {
        precondition(source == nil || source?.bitWidth == destination.bitWidth)
        var found: RouteLookup?
        do {
            try perform(.getRoute(to: destination, from: source)) { message in
                found = found ?? RouteLookup(message, source: source)
            }
        } catch {
            switch error.errno {
            case .networkUnreachable: return .none
            case .noRouteToHost: return .unreachable
            case .permissionDenied: return .prohibited
            case .invalidArgument: return .blackhole
            default: throw error
            }
        }
        guard let found else {
            throw .malformed(
                operation: "look up the route to \(destination)", detail: "has no route")
        }
        return found
    }
}

extension NetlinkRequest {
    static func getRoute(to destination: IPAddress, from source: IPAddress?) -> NetlinkRequest {
        NetlinkRequest(
            RTM_GETROUTE, flags: NLM_F_ACK, operation: "look up the route to",
            object: "\(destination)"
        ) { message in
            var header = rtmsg()
            header.rtm_family = UInt8(destination.bitWidth == 32 ? AF_INET : AF_INET6)
            header.rtm_dst_len = UInt8(destination.bitWidth)
            header.rtm_src_len = UInt8(source?.bitWidth ?? 0)
            message.put(header: header)
            message.put(Int(RTA_DST.rawValue), bytes: destination.octets)
            if let source { message.put(Int(RTA_SRC.rawValue), bytes: source.octets) }
        }
    }
}

extension RouteLookup {
    /// Reads an RTM_NEWROUTE message; nil when it is another kind of message or has no device.
    fileprivate init?(_ message: NetlinkMessage, source: IPAddress?) {
        guard message.type == RTM_NEWROUTE, let header = message.header(rtmsg.self) else {
            return nil
        }
        switch Int(header.rtm_type) {
        case RTN_UNREACHABLE: self = .unreachable
        case RTN_PROHIBIT: self = .prohibited
        case RTN_BLACKHOLE: self = .blackhole
        default:
            guard let route = Route(message, type: Int(header.rtm_type), source: source) else {
                return nil
            }
            self = .route(route)
        }
    }
}

extension Route {
    fileprivate init?(_ message: NetlinkMessage, type: Int, source: IPAddress?) {
        var device: Int32?
        var preferred: IPAddress?
        isLocal = type == RTN_LOCAL
        for attribute in message.attributes(after: rtmsg.self) {
            switch UInt32(truncatingIfNeeded: attribute.type) {
            case RTA_OIF.rawValue: device = attribute.uint32.map(Int32.init(bitPattern:))
            case RTA_GATEWAY.rawValue: gateway = IPAddress(octets: attribute.payload)
            case RTA_VIA.rawValue where attribute.payload.count > 2:
                // struct rtvia: two bytes of family, then the address.
                gateway = IPAddress(
                    octets: UnsafeRawBufferPointer(rebasing: attribute.payload[2...]))
            case RTA_PREFSRC.rawValue: preferred = IPAddress(octets: attribute.payload)
            case RTA_METRICS.rawValue:
                mtu = attribute.nested.first { $0.type == RTAX_MTU }?.uint32.map(Int.init)
            default: break
            }
        }
        guard let device else { return nil }
        self.device = device
        self.source = source ?? preferred
    }
}
