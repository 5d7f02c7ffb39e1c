// That something changed which decides how datagrams leave this host, as it changes: one socket in
// the multicast groups of links, addresses, routes, policy rules, next hops and neighbours.
//
// Only the kind of change is told. What a change means for a destination is the business of the
// kernel's own lookup (rules, tables, metrics, next-hop groups), so the receiver asks that again
// rather than keep a copy of the tables. Hence an event is read no further than its header, a burst
// of thousands folds into one value, and an overrun only means that everything may have changed.
//
// Not announced by the kernel: a path MTU learned from ICMP, and its expiry (after ten minutes).

import CLinux
import SystemPackage

/// Kinds of change.
package struct UnderlayChanges: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let links = UnderlayChanges(rawValue: 1)
    package static let addresses = UnderlayChanges(rawValue: 2)
    /// Policy rules and next-hop objects included.
    package static let routes = UnderlayChanges(rawValue: 4)
    package static let neighbours = UnderlayChanges(rawValue: 8)
    /// Events were lost: anything may have changed.
    package static let overrun = UnderlayChanges(rawValue: 16)
}

package final class UnderlayEvents {
    private let transport: any NetlinkTransport
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Becomes readable when events are waiting. Owned by this object.
    package let descriptor: FileDescriptor

    /// The groups as a bit set, in which group n is bit n - 1.
    private static var groups: UInt32 {
        [
            RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
            RTNLGRP_NEXTHOP,
        ].reduce(0) { $0 | 1 << ($1.rawValue - 1) }
    }

    /// Watches the network namespace that the current thread is in.
    package convenience init() throws(NetlinkError) {
        do {
            let transport = try KernelTransport(groups: Self.groups, isBlocking: false)
            self.init(transport: transport, descriptor: transport.descriptor)
        } catch {
            throw .socket(operation: "watch routes", errno: error)
        }
    }

    package init(transport: any NetlinkTransport, descriptor: FileDescriptor) {
        self.transport = transport
        self.descriptor = descriptor
    }

    deinit {
        buffer.deallocate()
    }

    /// What changed since the last call; empty when nothing did. Never blocks.
    package func drain() throws(NetlinkError) -> UnderlayChanges {
        var changes: UnderlayChanges = []
        while true {
            do {
                let byteCount = try transport.receive(into: buffer)
                let datagram = UnsafeRawBufferPointer(rebasing: buffer[..<byteCount])
                for message in NetlinkMessages(datagram) {
                    changes.formUnion(UnderlayChanges(message))
                }
            } catch {
                switch error {
                case .resourceTemporarilyUnavailable: return changes
                case .noBufferSpace: changes.insert(.overrun)
                default: throw .socket(operation: "watch routes", errno: error)
                }
            }
        }
    }
}

extension UnderlayChanges {
    /// The kind of one message; empty for what does not concern the IP underlay.
    init(_ message: NetlinkMessage) {
        switch Int(message.type) {
        case RTM_NEWLINK, RTM_DELLINK:
            // A bridge announces its ports too, with its own family.
            let family = Int32(message.header(ifinfomsg.self)?.ifi_family ?? 0)
            self = family == AF_UNSPEC ? .links : []
        case RTM_NEWADDR, RTM_DELADDR: self = .addresses
        case RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWRULE, RTM_DELRULE, RTM_NEWNEXTHOP,
            RTM_DELNEXTHOP:
            self = .routes
        case RTM_NEWNEIGH, RTM_DELNEIGH:
            // Every MAC address that a bridge learns comes here as well.
            let family = Int32(message.header(ndmsg.self)?.ndm_family ?? 0)
            self = family == AF_INET || family == AF_INET6 ? .neighbours : []
        default: self = []
        }
    }
}
