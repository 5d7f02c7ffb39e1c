import Dataplane
import Netlink
import Ports
import SystemPackage
import Topology

/// A veth port: a pair of devices, of which one end is the port itself and lies in the switch's
/// namespace, and the other is what the port's namespace sees.
///
/// Either end goes with the other, so only the far one is recorded; both bear a mark, the near one
/// another than the far one, since both may lie in one namespace. A pair that an earlier run left is
/// taken over when both ends are still where they belong, and replaced otherwise.
extension DeviceProvisioning {
    /// The alternative name of the end that is the port.
    private func switchEndMark(of port: String) -> String { "heddle-\(instance)+\(port)" }

    func attachVeth(
        _ spec: PortSpec, number: UInt16, origin: ObservedPort.Origin, mtu: Int,
        namespace: NetworkNamespace?, recorded: Bool
    ) throws -> LivePort {
        guard let interface = interface(for: spec, mtu: mtu), let nearName = spec.switchEndName
        else { preconditionFailure("a veth port has two devices' names") }
        let socket = try NetlinkSocket()
        let near = try socket.link(.name(nearName))
        if let near, !near.alternativeNames.contains(switchEndMark(of: spec.name)) {
            throw Failure.nameTaken(
                port: spec.name, device: nearName, namespace: nil,
                kind: near.kind.map { "a \($0) device" } ?? "another kind of device")
        }
        let far = try inside(namespace) { try NetlinkSocket().link(.name(interface.name)) }
        if let far, !far.alternativeNames.contains(interface.mark) {
            throw Failure.nameTaken(
                port: spec.name, device: interface.name, namespace: namespace?.name,
                kind: far.kind.map { "a \($0) device" } ?? "another kind of device")
        }
        let isAdopted = recorded && near != nil && far != nil && far?.lower == near?.index
        if !isAdopted {
            if let near { try socket.deleteLink(near.index) }
            // The other half of a pair that lost its mate to another namespace.
            try TAPProvisioner.remove(
                name: interface.name, mark: interface.mark, in: namespace?.descriptor)
            try socket.createVeth(
                VethEnd(nearName, mtu: mtu),
                peer: VethEnd(
                    interface.name, namespace: namespace?.descriptor, mtu: mtu,
                    address: interface.macAddress))
        }
        do {
            return try assemble(
                spec, interface, nearName: nearName, number: number, origin: origin,
                namespace: namespace, isAdopted: isAdopted)
        } catch {
            if !isAdopted, let made = try? socket.link(.name(nearName)) {
                try? socket.deleteLink(made.index)
            }
            throw error
        }
    }

    private func assemble(
        _ spec: PortSpec, _ interface: TAPInterface, nearName: String, number: UInt16,
        origin: ObservedPort.Origin, namespace: NetworkNamespace?, isAdopted: Bool
    ) throws -> LivePort {
        _ = try TAPProvisioner.repair(
            interface, isNew: !isAdopted, in: namespace?.descriptor)
        _ = try TAPProvisioner.repair(
            TAPInterface(
                name: nearName, mark: switchEndMark(of: spec.name), mtu: interface.mtu),
            isNew: !isAdopted)
        let socket = try NetlinkSocket()
        guard let near = try socket.link(.name(nearName)),
            let far = try inside(namespace, { try NetlinkSocket().link(.name(interface.name)) })
        else { throw TAPProvisioner.Failure.missing(name: nearName) }
        let port = try open(near)
        return LivePort(
            spec: spec, number: number, origin: origin, attachment: port,
            device: LivePort.Device(
                name: interface.name, index: far.index, namespace: namespace,
                ownership: isAdopted ? .adopted : .made, mark: interface.mark,
                guardedIndex: near.index))
    }

    /// Keeps the near end's MTU equal to the far one's.
    func setSwitchEndMTU(of spec: PortSpec, _ mtu: Int) throws {
        guard let name = spec.switchEndName else { return }
        let socket = try NetlinkSocket()
        guard let link = try socket.link(.name(name)), link.mtu != mtu else { return }
        try socket.setMTU(link.index, to: mtu)
    }
}
