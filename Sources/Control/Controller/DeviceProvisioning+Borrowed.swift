import Dataplane
import Netlink
import Ports
import Topology

/// Devices that somebody else made and that are ports while they are there.
///
/// A device is brought up if it is down, the host's own stack is kept from its frames, and nothing
/// else of it is changed; given back it is as it was.
extension DeviceProvisioning {
    /// A port without its device.
    func absent(_ spec: PortSpec, number: UInt16, origin: ObservedPort.Origin) -> LivePort {
        var port = LivePort(
            spec: spec, number: number, origin: origin, attachment: AbsentPort())
        switch spec.attachment {
        case .device(.name(let name)):
            port.condition = .down(
                reason: "there is no device '\(name)'; the port comes up when there is")
        case .device(.match(let match)):
            port.condition = .down(reason: "no device matches it: \(match)")
        case .tap, .veth, .pcap, .vhostUser, .socket:
            port.condition = .missingDevice
        }
        return port
    }

    /// A port with a device that is there, in the switch's own namespace.
    func borrow(
        _ link: Link, for spec: PortSpec, number: UInt16, origin: ObservedPort.Origin
    ) throws -> LivePort {
        let wasUp = link.flags.contains(.up)
        let port = try open(link)
        if !wasUp {
            do {
                try NetlinkSocket().setUp(link.index, true)
            } catch {
                guarded.release(link.index)
                throw error
            }
        }
        var result = LivePort(
            spec: spec, number: number, origin: origin, attachment: port,
            device: LivePort.Device(
                name: link.name, index: link.index, namespace: nil,
                ownership: .borrowed(wasUp: wasUp), mark: "", guardedIndex: link.index))
        if let now = try NetlinkSocket().link(.index(link.index)) {
            result.condition = result.condition(with: now)
        }
        return result
    }

    func giveBack(_ port: LivePort, wasUp: Bool) {
        guard let device = port.device else { return }
        if let index = device.guardedIndex { guarded.release(index) }
        // Mostly it is gone: that is why it is given back.
        if !wasUp { try? NetlinkSocket().setUp(device.index, false) }
    }

    /// What receives from a device and sends to it, with the host's stack kept out of the way.
    func open(_ link: Link) throws -> PacketPort {
        try guarded.protect(link.index, name: link.name)
        do {
            return try PacketPort(index: link.index, name: link.name, mark: IngressGuard.mark)
        } catch {
            guarded.release(link.index)
            throw error
        }
    }
}
