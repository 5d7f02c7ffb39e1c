// What happens to the devices of a network namespace, as it happens: a socket in the RTNLGRP_LINK
// multicast group, to be polled and then drained.
//
// Events are hints, not a log. The kernel drops them when the reader is slow and says so once
// (ENOBUFS); the reader then sees `.overrun` and must list the links again. To start without a gap:
// open the events first, list the links second, then drain; an event older than the listing repeats
// what the listing said. A device that moves to another namespace is removed here and appears there.

import CLinux
import SystemPackage

package enum LinkEvent: Equatable, Sendable {
    /// Made, renamed, brought up or down, or altered otherwise: how the device is now.
    case changed(Link)
    /// Deleted, or moved to another namespace. The index is not reused soon; the name may be.
    case removed(index: Int32, name: String)
    /// Events were lost: list the links again.
    case overrun
}

package final class LinkEvents {
    private let transport: any NetlinkTransport
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Becomes readable when events are waiting. Owned by this object.
    package let descriptor: FileDescriptor

    /// Watches the network namespace that the current thread is in.
    package convenience init() throws(NetlinkError) {
        do {
            let transport = try KernelTransport(
                groups: UInt32(RTMGRP_LINK), isBlocking: false)
            self.init(transport: transport, descriptor: transport.descriptor)
        } catch {
            throw .socket(operation: "watch links", errno: error)
        }
    }

    package init(transport: any NetlinkTransport, descriptor: FileDescriptor) {
        self.transport = transport
        self.descriptor = descriptor
    }

    deinit {
        buffer.deallocate()
    }

    /// The events that are waiting, oldest first; empty when there are none. Never blocks.
    package func drain() throws(NetlinkError) -> [LinkEvent] {
        var events: [LinkEvent] = []
        while true {
            do {
                let byteCount = try transport.receive(into: buffer)
                let datagram = UnsafeRawBufferPointer(rebasing: buffer[..<byteCount])
                events += NetlinkMessages(datagram).compactMap(LinkEvent.init)
            } catch {
                switch error {
                case .resourceTemporarilyUnavailable: return events
                case .noBufferSpace: events.append(.overrun)
                default: throw .socket(operation: "watch links", errno: error)
                }
            }
        }
    }
}

extension LinkEvent {
    init?(_ message: NetlinkMessage) {
        guard let link = Link(message) else { return nil }
        self =
            message.type == RTM_DELLINK
            ? .removed(index: link.index, name: link.name) : .changed(link)
    }
}
