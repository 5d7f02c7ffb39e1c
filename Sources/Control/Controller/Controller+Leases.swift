import ControlAPI
import Netlink
import SystemPackage
import Topology

/// What clients hold by a connection or a descriptor: ports that go with their client, and network
/// cards for hypervisors.
extension Controller {
    /// Attaches a port that ``endLease(_:)`` removes.
    ///
    /// - Returns: what names the lease: the port's name may come to mean another one.
    package func leasePort(_ request: PortAttachRequest) throws(ServiceError) -> UInt64 {
        _ = try attachPort(request)
        let lease = nextLease.add(1, ordering: .relaxed).newValue
        changes.withLock { _ in
            model.withLock { model in
                guard let place = model.ports.firstIndex(where: { $0.spec.name == request.name })
                else { return }
                model.ports[place].lease = lease
            }
        }
        return lease
    }

    /// Detaches the port of a lease, unless somebody has done so before.
    package func endLease(_ lease: UInt64) {
        guard let port = model.withLock({ $0.ports.first { $0.lease == lease } }) else { return }
        do {
            try detach(port.spec.name) { model in
                guard model.port(named: port.spec.name)?.lease == lease else {
                    throw ServiceError.conflict("the lease is over")
                }
            }
            log.notice("port '\(port.spec.name)' is gone with its lease")
        } catch {
            log.debug("lease of port '\(port.spec.name)': \(error)")
        }
    }

    /// Makes a TAP device on a network, for a hypervisor: the device's alias makes it a port, and it
    /// lives as long as the descriptor does.
    package func makeNIC(network: String, hasHeader: Bool) throws -> FileDescriptor {
        let now = model.withLock { $0 }
        guard now.network(named: network) != nil else { throw unknownNetwork(network, now) }
        let (descriptor, name) = try HypervisorTAP.make(hasHeader: hasHeader)
        do {
            try changing { state in
                let socket = try NetlinkSocket()
                guard let link = try socket.link(.name(name)) else {
                    throw SystemError(
                        "find device '\(name)' after making it", .noSuchFileOrDirectory)
                }
                if let mtu = model.withLock({ $0.network(named: network)?.mtu }) {
                    try socket.setMTU(link.index, to: mtu)
                }
                try socket.setAlias(link.index, to: DeviceAlias.prefix + "network=" + network)
                reconcileDevices(&state)
                guard model.withLock({ $0.port(named: name) }) != nil else {
                    throw ServiceError.failed(
                        model.withLock { $0.discoveryProblems.filter { $0.contains("'\(name)'") } })
                }
            }
            return descriptor
        } catch {
            try? descriptor.close()
            throw error
        }
    }
}
