import Capture
import Dataplane
import Netlink
import Ports
import SystemPackage
import Topology
import Wire

/// Makes, adopts, changes and removes what stands behind a port.
///
/// Ownership. A device is ours when it bears our mark *and* the state records it; only then is it
/// ever deleted. A persistent TAP that was there already is opened and used and left behind. A device
/// of that name that is anything else is refused.
struct DeviceProvisioning: Sendable {
    let instance: String
    let loop: PeerLoop
    let guarded: GuardedDevices

    enum Failure: Error, CustomStringConvertible {
        case nameTaken(port: String, device: String, namespace: String?, kind: String)
        case otherInstance(port: String, device: String, mark: String)

        var description: String {
            switch self {
            case .nameTaken(let port, let device, let namespace, let kind):
                "port '\(port)': device '\(device)' exists"
                    + (namespace.map { " in namespace '\($0)'" } ?? "")
                    + " and is \(kind), which Heddle did not make: rename or delete it, or name "
                    + "another with 'tap: {device: NAME}'"
            case .otherInstance(let port, let device, let mark):
                "port '\(port)': device '\(device)' belongs to another heddle (it is marked "
                    + "'\(mark)'): stop that one, or name another with 'tap: {device: NAME}'"
            }
        }
    }

    func mark(of port: String) -> String { "heddle-\(instance)-\(port)" }

    /// The MAC address of a TAP port that declares none: stable for an instance and a port, so that
    /// neighbours' caches survive a restart; locally administered, individual. A port of a topology
    /// with hosts has one name among all of them, and takes its address along when it moves.
    func derivedAddress(of port: PortSpec) -> MACAddress {
        let owner = port.host == nil ? instance : "hosts"
        // FNV-1a, 64 bits.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in "\(owner)/\(port.name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash ^= hash >> 29
        return MACAddress(rawValue: (hash & 0xFCFF_FFFF_FFFF) | 0x0200_0000_0000)
    }

    func interface(for spec: PortSpec, mtu: Int) -> TAPInterface? {
        guard let made = spec.attachment.madeDevice, let name = spec.deviceName else { return nil }
        return TAPInterface(
            name: name, mark: mark(of: spec.name),
            macAddress: made.mac ?? derivedAddress(of: spec), mtu: mtu,
            addresses: made.addresses)
    }

    /// Makes a port's attachment: all or nothing.
    ///
    /// - Parameter recorded: whether the state records the device as ours.
    func attach(
        _ spec: PortSpec, number: UInt16, origin: ObservedPort.Origin, mtu: Int,
        namespace: NetworkNamespace?, recorded: Bool
    ) throws -> LivePort {
        switch spec.attachment {
        case .pcap(let files):
            let port = try PcapPort(reading: files.read, writing: files.write)
            return LivePort(spec: spec, number: number, origin: origin, attachment: port)
        case .device:
            return absent(spec, number: number, origin: origin)
        case .vhostUser, .socket:
            return LivePort(
                spec: spec, number: number, origin: origin, attachment: try peer(of: spec, mtu))
        case .veth:
            return try attachVeth(
                spec, number: number, origin: origin, mtu: mtu, namespace: namespace,
                recorded: recorded)
        case .tap:
            guard let interface = interface(for: spec, mtu: mtu) else {
                preconditionFailure("a TAP port has a device name")
            }
            let (device, ownership) = try open(
                interface, port: spec.name, namespace: namespace, recorded: recorded)
            return LivePort(
                spec: spec, number: number, origin: origin,
                attachment: TAPPort(device: device),
                device: LivePort.Device(
                    name: interface.name, index: device.index, namespace: namespace,
                    ownership: ownership, mark: interface.mark))
        }
    }

    private func open(
        _ interface: TAPInterface, port: String, namespace: NetworkNamespace?, recorded: Bool
    ) throws -> (device: TAPDevice, ownership: LivePort.Device.Ownership) {
        let existing = try inside(namespace) {
            try NetlinkSocket().link(.name(interface.name))
        }
        guard let existing else {
            let made = try TAPProvisioner.provision(
                interface, .create, in: namespace?.descriptor)
            return (made, .made)
        }
        if existing.alternativeNames.contains(interface.mark), recorded {
            let adopted = try TAPProvisioner.provision(
                interface, .adopt, in: namespace?.descriptor)
            return (adopted, .adopted)
        }
        if let other = existing.alternativeNames.first(where: { $0.hasPrefix("heddle-") }) {
            throw Failure.otherInstance(port: port, device: interface.name, mark: other)
        }
        guard existing.kind == "tun" else {
            throw Failure.nameTaken(
                port: port, device: interface.name, namespace: namespace?.name,
                kind: existing.kind.map { "a \($0) device" } ?? "another kind of device")
        }
        return try inside(namespace) {
            let device = try TAPDevice(interface.name, .adopt)
            let socket = try NetlinkSocket()
            let present = try socket.addresses(of: device.index)
            for address in interface.addresses where !present.contains(address) {
                try socket.addAddress(address, to: device.index)
            }
            try socket.setUp(device.index, true)
            return (device, .found(addresses: present, wasUp: existing.flags.contains(.up)))
        }
    }

    /// Brings a port's device from one declaration to another; the device stays.
    func reconfigure(
        _ port: LivePort, from old: PortSpec, to new: PortSpec, mtu: Int
    ) throws {
        guard let device = port.device, let interface = interface(for: new, mtu: mtu),
            let before = old.attachment.madeDevice, let after = new.attachment.madeDevice
        else { return }
        // First the addresses that go: the kernel removes with a subnet's first address all others of
        // that subnet, and the repair puts back those that are declared.
        let gone = Set(before.addresses).subtracting(after.addresses)
        try inside(device.namespace) {
            let socket = try NetlinkSocket()
            for address in gone where try socket.addresses(of: device.index).contains(address) {
                try socket.removeAddress(address, from: device.index)
            }
            guard !device.isOurs else { return }
            let left = Set(try socket.addresses(of: device.index))
            for address in after.addresses where !left.contains(address) {
                try socket.addAddress(address, to: device.index)
            }
        }
        if device.isOurs {
            _ = try TAPProvisioner.repair(interface, in: device.namespace?.descriptor)
        }
        try setSwitchEndMTU(of: new, mtu)
    }

    /// Takes a port out of service: removes a device that Heddle made and gives back, as it was
    /// found, one that was there before; lets go of a peer.
    func remove(_ port: LivePort) throws {
        port.peer?.close()
        if case .borrowed(let wasUp) = port.device?.ownership {
            return giveBack(port, wasUp: wasUp)
        }
        guard let device = port.device else { return }
        guard case .found(let addresses, let wasUp) = device.ownership else {
            if let index = device.guardedIndex { guarded.release(index) }
            try TAPProvisioner.remove(
                name: device.name, mark: device.mark, in: device.namespace?.descriptor)
            return
        }
        guard case .tap(let tap) = port.spec.attachment else { return }
        try inside(device.namespace) {
            let socket = try NetlinkSocket()
            guard try socket.link(.index(device.index)) != nil else { return }
            for address in tap.addresses
            where try !addresses.contains(address)
                && socket.addresses(of: device.index).contains(address)
            {
                try socket.removeAddress(address, from: device.index)
            }
            if !wasUp { try socket.setUp(device.index, false) }
        }
    }

    func inside<Value>(
        _ namespace: NetworkNamespace?, _ body: () throws -> Value
    ) throws -> Value {
        guard let namespace else { return try body() }
        return try namespace.run(body)
    }
}
