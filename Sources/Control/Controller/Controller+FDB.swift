import ControlAPI
import Dataplane
import Topology
import Wire

/// Requests about the FDB.
extension Controller {
    package func fdb(
        network: String?, port: String?, mac: String?
    ) throws(ServiceError) -> FDBList {
        let model = self.model.withLock { $0 }
        let (domain, number) = try numbers(network: network, port: port, model)
        let address = try mac.map { text throws(ServiceError) in try self.address(text) }
        let vlans = Dictionary(
            model.networks.map { ($0.name, Int($0.vlan?.rawValue ?? 0)) },
            uniquingKeysWith: { first, _ in first })
        let networkNames = Dictionary(
            model.domains.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        let portNames = Dictionary(
            model.countedNames.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first }
        )
        let vteps = Dictionary(
            model.tunnels.map { ($0.number, "\($0.spec.remote)") },
            uniquingKeysWith: { first, _ in first })
        var rows: [FDBEntryInfo] = []
        for entry in fabric.fdb.entries(now: now) {
            if let domain, entry.key.domain != domain { continue }
            if let number, entry.port != number { continue }
            if let address, entry.key.address != address { continue }
            guard let networkName = networkNames[entry.key.domain],
                let portName = portNames[entry.port]
            else { continue }
            rows.append(
                FDBEntryInfo(
                    network: networkName, vlan: vlans[networkName] ?? 0,
                    mac: "\(entry.key.address)", port: portName, vtep: vteps[entry.port],
                    kind: FDBEntryKind(entry.kind),
                    ageSeconds: entry.kind == .static
                        ? nil : Double(entry.ageTicks) / Double(FDB.ticksPerSecond)))
        }
        rows.sort { ($0.network, $0.mac) < ($1.network, $1.mac) }
        return FDBList(entries: rows)
    }

    package func addFDBEntry(_ request: FDBChangeRequest) throws(ServiceError) -> FDBEntryInfo {
        let address = try address(request.mac)
        guard !address.isMulticast, !address.isZero else {
            throw .badRequest([
                "\(request.mac) is no unicast address: only the address of one host has a port"
            ])
        }
        try refuseOwn(address)
        guard request.kind != .dynamic else {
            throw .badRequest([
                "dynamic entries are learned, not added; add a static one, or a sticky one"
            ])
        }
        do {
            return try changing { _ in
                try addEntry(request, address)
            }
        } catch {
            throw serviceError(error)
        }
    }

    private func addEntry(
        _ request: FDBChangeRequest, _ address: MACAddress
    ) throws(ServiceError) -> FDBEntryInfo {
        let model = self.model.withLock { $0 }
        let place = try location(of: request, model)
        let (domain, number) = try numbers(network: request.network, port: place, model)
        guard let domain, let number else {
            throw .badRequest(["both a network and a port are needed"])
        }
        let tunnel = model.tunnel(named: place)
        let networks =
            tunnel?.spec.networks ?? model.port(named: place)?.spec.membership.networks ?? []
        guard networks.contains(request.network) else {
            throw .badRequest([
                "\(tunnel == nil ? "port" : "tunnel") '\(place)' is not in network "
                    + "'\(request.network)'; it is in: \(listed(networks))"
            ])
        }
        let key = FDBKey(domain: domain, address: address)
        let isStatic = request.kind == .static
        guard
            fdbCommand(isStatic ? .addStatic(key, port: number) : .addSticky(key, port: number))
                == 1
        else {
            throw .conflict(
                isStatic
                    ? "the FDB is full: raise 'switch: {fdb-limit: N}' or flush it"
                    : "\(address) is pinned to another port: delete that entry first")
        }
        self.model.withLock { model in
            model.staticEntries.removeAll {
                $0.network == request.network && $0.address == address
            }
            guard isStatic else { return }
            model.staticEntries.append(
                StaticEntry(network: request.network, address: address, port: place))
        }
        return FDBEntryInfo(
            network: request.network,
            vlan: Int(model.network(named: request.network)?.vlan?.rawValue ?? 0),
            mac: "\(address)", port: place, vtep: tunnel.map { "\($0.spec.remote)" },
            kind: request.kind)
    }

    /// The port or the tunnel that a request means.
    private func location(
        of request: FDBChangeRequest, _ model: SwitchModel
    ) throws(ServiceError) -> String {
        switch (request.port, request.vtep) {
        case (let port?, nil): return port
        case (nil, let host?):
            let tunnels = model.tunnels.filter {
                $0.spec.host == host || "\($0.spec.remote)" == host || $0.spec.name == host
            }
            guard !tunnels.isEmpty else {
                throw .notFound(
                    "there is no tunnel to '\(host)'; there are tunnels to: "
                        + listed(Set(model.tunnels.map(\.spec.host)).sorted()))
            }
            guard let tunnel = tunnels.first(where: { $0.spec.networks.contains(request.network) })
            else {
                _ = try numbers(network: request.network, port: nil, model)
                throw .badRequest([
                    "host '\(tunnels[0].spec.host)' takes no part in network "
                        + "'\(request.network)': declare a port there, or list the network under "
                        + "the host's 'networks:'"
                ])
            }
            return tunnel.spec.name
        default:
            throw .badRequest(["say where the address lives: either a port or a vtep"])
        }
    }

    package func deleteFDBEntry(network: String, mac: String) throws(ServiceError)
        -> FDBFlushResult
    {
        let address = try address(mac)
        try refuseOwn(address)
        do {
            return try changing { _ in
                let model = self.model.withLock { $0 }
                let (domain, _) = try numbers(network: network, port: nil, model)
                let removed = fdbCommand(.delete(FDBKey(domain: domain ?? 0, address: address)))
                guard removed > 0 else {
                    throw ServiceError.notFound(
                        "network '\(network)' has no FDB entry for \(address)")
                }
                self.model.withLock { model in
                    model.staticEntries.removeAll { $0.network == network && $0.address == address }
                }
                return FDBFlushResult(removed: removed)
            }
        } catch {
            throw serviceError(error)
        }
    }

    package func flushFDB(_ request: FDBFlushRequest) throws(ServiceError) -> FDBFlushResult {
        let address = try request.mac.map { text throws(ServiceError) in try self.address(text) }
        do {
            return try changing { _ in
                let (domain, number) = try numbers(
                    network: request.network, port: request.port, model.withLock { $0 })
                let pattern = FDB.FlushPattern(
                    port: number, domain: domain, address: address?.rawValue)
                return FDBFlushResult(removed: fdbCommand(.flush(pattern)))
            }
        } catch {
            throw serviceError(error)
        }
    }

    private func numbers(
        network: String?, port: String?, _ model: SwitchModel
    ) throws(ServiceError) -> (domain: UInt16?, port: UInt16?) {
        var domain: UInt16?
        var number: UInt16?
        if let network {
            guard let found = model.domains[network] else { throw unknownNetwork(network, model) }
            domain = found
        }
        if let port {
            guard let found = model.number(named: port) else { throw unknownPort(port, model) }
            number = found
        }
        return (domain, number)
    }

    private func refuseOwn(_ address: MACAddress) throws(ServiceError) {
        guard address != watch.ownAddress else {
            throw .conflict(
                "\(address) is the switch's own address, from which it looks for loops")
        }
    }

    private func address(_ text: String) throws(ServiceError) -> MACAddress {
        guard let address = MACAddress(text) else {
            throw .badRequest([
                "'\(text)' is no MAC address; write six octets as in 02:00:00:00:00:01"
            ])
        }
        return address
    }
}

extension FDBEntryKind {
    init(_ kind: FDB.Kind) {
        switch kind {
        case .dynamic: self = .dynamic
        case .sticky: self = .sticky
        case .static: self = .static
        }
    }
}
