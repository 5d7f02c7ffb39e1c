import Dataplane
import Netlink

/// Ports on devices that come and go by themselves, as steps of a transaction.
extension Transaction {
    /// Makes a port of a device that asked for it.
    mutating func attachDiscovered(_ found: DeviceDiscovery.Found) throws {
        var port = try controller.provisioning.borrow(
            found.link, for: found.spec, number: number(for: found.spec.name), origin: .discovered)
        port.template = found.template
        model.ports.append(port)
        registerUndo(of: port)
    }

    /// Makes a discovered port what its device wants it to be now.
    mutating func changeDiscovered(_ found: DeviceDiscovery.Found) {
        guard let place = model.ports.firstIndex(where: { $0.spec.name == found.spec.name })
        else { return }
        model.ports[place].spec = found.spec
        model.ports[place].template = found.template
        flushes.append(FDB.FlushPattern(port: model.ports[place].number))
    }

    /// Gives the port the device that it has waited for, or, with nil, takes away what is gone.
    mutating func plug(_ link: Link?, into name: String) throws {
        guard let place = model.ports.firstIndex(where: { $0.spec.name == name }) else { return }
        let old = model.ports[place]
        let provisioning = controller.provisioning
        if let link {
            model.ports[place] = try provisioning.borrow(
                link, for: old.spec, number: old.number, origin: old.origin)
            model.ports[place].lease = old.lease
            registerUndo(of: model.ports[place])
        } else {
            model.ports[place] = provisioning.absent(
                old.spec, number: old.number, origin: old.origin)
            model.ports[place].lease = old.lease
            retiring.append(old)
            flushes.append(FDB.FlushPattern(port: old.number))
        }
    }
}
