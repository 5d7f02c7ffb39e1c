import ControlAPI
import Dataplane
import Ports
import Topology
import Wire

/// `who`: what the topology declares, what stations said of themselves, and the FDB, put together.
extension Controller {
    package func who(_ query: String) throws(ServiceError) -> WhoResult {
        let directory = StationDirectory(self)
        let (matched, stations) = directory.find(query)
        guard !stations.isEmpty else { throw .notFound(directory.nothingKnown(of: query)) }
        return WhoResult(query: query, matched: matched, stations: stations)
    }
}

/// The stations that are known at one moment, by all that they can be asked for.
///
/// A station is an address in a network. The declared ones have their addresses from the topology, and
/// of other hosts' ports nothing else is known before they are heard: they are joined with what the
/// tunnel brought by their MAC address, which all hosts of a topology derive alike.
private struct StationDirectory {
    /// What a port declares.
    private struct Declared {
        var spec: PortSpec
        var network: String
        var mac: MACAddress?
        var addresses: [IPAddress]
    }

    private let controller: Controller
    private let model: SwitchModel
    private let now: UInt64
    private let stations: [StationTable.Station]
    private let declared: [Declared]
    private let networkNames: [UInt16: String]

    init(_ controller: Controller) {
        self.controller = controller
        let model = controller.model.withLock { $0 }
        self.model = model
        now = WorkerThread.monotonicNanoseconds()
        stations = controller.watch.stations.withLock { $0.stations { _ in true } }
        networkNames = Dictionary(
            model.domains.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        let here = model.ports.map(\.spec)
        let names = Set(here.map(\.name))
        let elsewhere = (model.document?.ports ?? []).filter { port in
            port.host != model.host?.name && !names.contains(port.name)
        }
        var all: [Declared] = []
        for spec in here + elsewhere {
            let made = spec.attachment.madeDevice
            let mac = made.map { $0.mac ?? controller.provisioning.derivedAddress(of: spec) }
            for network in spec.membership.networks {
                // Addresses of a trunk's device are in its native network.
                var addresses: [IPAddress] = []
                switch spec.membership {
                case .access: addresses = made?.addresses.map(\.address) ?? []
                case .trunk(_, let native) where native == network:
                    addresses = made?.addresses.map(\.address) ?? []
                case .trunk: break
                }
                if made != nil, !addresses.isEmpty || spec.membership.networks.count == 1 {
                    all.append(
                        Declared(spec: spec, network: network, mac: mac, addresses: addresses))
                }
                all += spec.staticMACs.filter { $0 != mac }.map {
                    Declared(spec: spec, network: network, mac: $0, addresses: [])
                }
            }
        }
        declared = all
    }

    // MARK: Finding

    func find(_ query: String) -> (matched: String, [StationInfo]) {
        if let mac = MACAddress(query) {
            return ("MAC address", infos({ $0.key.address == mac }, { $0.mac == mac }, mac: mac))
        }
        if let address = IPAddress(query) {
            return (
                "IP address",
                infos(
                    { $0.addresses.contains { $0.address == address } },
                    { $0.addresses.contains(address) })
            )
        }
        if let number = model.number(named: query) {
            let found = infos({ $0.port == number }, { $0.spec.name == query })
            if !found.isEmpty { return ("port", found) }
        }
        if declared.contains(where: { $0.spec.name == query }) {
            return ("port", infos({ _ in false }, { $0.spec.name == query }))
        }
        let name = query.lowercased()
        let named = infos({ $0.hostName?.lowercased() == name }, { _ in false })
        if !named.isEmpty { return ("host name", named) }
        let ports = Set(model.ports.filter { $0.spec.namespace == query }.map(\.number))
        let housed = infos(
            { ports.contains($0.port) },
            { $0.spec.namespace == query && $0.spec.host == model.host?.name })
        if !housed.isEmpty { return ("namespace", housed) }
        if let domain = model.domains[query] {
            return ("network", infos({ $0.key.domain == domain }, { $0.network == query }))
        }
        return ("", [])
    }

    /// The stations that were heard and match, and the declared ones that match and were not.
    private func infos(
        _ isHeard: (StationTable.Station) -> Bool, _ isDeclared: (Declared) -> Bool,
        mac: MACAddress? = nil
    ) -> [StationInfo] {
        var known: Set<FDBKey> = []
        var infos: [StationInfo] = []
        for station in stations {
            let matches = isHeard(station) || declaration(of: station.key).map(isDeclared) ?? false
            guard matches, networkNames[station.key.domain] != nil else { continue }
            known.insert(station.key)
            infos.append(info(station.key, station, declaration(of: station.key)))
        }
        for entry in declared where isDeclared(entry) {
            let key = entry.mac.flatMap { mac in
                model.domains[entry.network].map { FDBKey(domain: $0, address: mac) }
            }
            if let key, !known.insert(key).inserted { continue }
            infos.append(info(key, nil, entry))
        }
        // What only the FDB knows: an entry that somebody added.
        if let mac {
            for (domain, _) in networkNames {
                let key = FDBKey(domain: domain, address: mac)
                guard !known.contains(key), location(of: key) != nil else { continue }
                infos.append(info(key, nil, nil))
            }
        }
        return infos
    }

    private func declaration(of key: FDBKey) -> Declared? {
        declared.first {
            $0.mac == key.address && model.domains[$0.network] == key.domain
        }
    }

    private func location(of key: FDBKey) -> FDB.Location? {
        guard key.address != controller.watch.ownAddress else { return nil }
        return controller.fabric.fdb.lookup(key, now: Worker.tick(now), isOwner: false)
    }

    // MARK: Telling

    private func info(
        _ key: FDBKey?, _ station: StationTable.Station?, _ declared: Declared?
    ) -> StationInfo {
        let network = key.flatMap { networkNames[$0.domain] } ?? declared?.network ?? ""
        var info = StationInfo(
            network: network, vlan: Int(model.network(named: network)?.vlan?.rawValue ?? 0),
            mac: (key?.address ?? declared?.mac).map { "\($0)" })
        let entry = key.flatMap { location(of: $0) }
        // Where it was heard, else where the FDB has it, else where it is declared.
        place(station?.port ?? entry?.port, declared, &info)
        info.hostName = station?.hostName
        info.portSinceSeconds = station.map { seconds(since: $0.portSince) }
        info.lastSeenSeconds = station.map { seconds(since: $0.last) }
        if let entry, entry.kind != .static {
            let age = Double(Worker.tick(now) &- entry.tick) / Double(FDB.ticksPerSecond)
            // A worker's reading of the clock may be later than ours.
            let seconds = age > 1e6 ? 0 : age
            info.lastSeenSeconds = min(info.lastSeenSeconds ?? .infinity, seconds)
            info.fdb =
                "\(FDBEntryKind(entry.kind).rawValue) at \(name(entry.port)), heard "
                + "\(Int(seconds)) s ago"
        } else if let entry {
            info.fdb = "static at \(name(entry.port))"
        }
        info.addresses = addresses(station, declared)
        info.duplicates = duplicates(of: info, key)
        return info
    }

    private func place(_ number: UInt16?, _ declared: Declared?, _ info: inout StationInfo) {
        if let number, let port = model.port(numbered: number) {
            info.port = port.spec.name
            info.namespace = port.spec.namespace
            return
        }
        if let number, let tunnel = model.tunnels.first(where: { $0.number == number }) {
            info.tunnel = tunnel.spec.name
            info.host = tunnel.spec.host
        }
        guard let declared else { return }
        info.port = declared.spec.name
        info.namespace = declared.spec.namespace
        guard let host = declared.spec.host, host != model.host?.name else { return }
        info.host = info.host ?? host
        info.tunnel =
            info.tunnel
            ?? model.tunnels.first {
                $0.spec.host == host && $0.spec.networks.contains(declared.network)
            }?.spec.name
    }

    private func addresses(
        _ station: StationTable.Station?, _ declared: Declared?
    ) -> [StationAddress] {
        var result = (declared?.addresses ?? []).map {
            StationAddress(address: "\($0)", source: "declared")
        }
        // The newest first; what is declared and heard is told with both.
        for address in (station?.addresses ?? []).reversed() {
            result.append(
                StationAddress(
                    address: "\(address.address)", source: address.source.rawValue,
                    ageSeconds: seconds(since: address.time)))
        }
        return result
    }

    /// Who else has one of the station's addresses, in its network.
    private func duplicates(of info: StationInfo, _ key: FDBKey?) -> [String] {
        let own = Set(info.addresses.map(\.address))
        guard let key, !own.isEmpty else { return [] }
        return stations.compactMap { other in
            guard other.key.domain == key.domain, other.key != key,
                let shared = other.addresses.first(where: { own.contains("\($0.address)") })
            else { return nil }
            return "\(shared.address) is also claimed by \(other.key.address) at "
                + "\(name(other.port)), \(Int(seconds(since: shared.time))) s ago"
        }
    }

    private func name(_ number: UInt16) -> String {
        if let port = model.port(numbered: number) { return "port \(port.spec.name)" }
        if let tunnel = model.tunnels.first(where: { $0.number == number }) {
            return "tunnel \(tunnel.spec.name)"
        }
        return "a port that is gone"
    }

    private func seconds(since time: UInt64) -> Double {
        now > time ? (Double(now - time) / 1e8).rounded() / 10 : 0
    }

    /// What was looked at, and what to do.
    func nothingKnown(of query: String) -> String {
        let looked =
            "looked at \(declared.count) declared and \(stations.count) heard stations "
            + "and at the FDB"
        if model.number(named: query) != nil || model.domains[query] != nil {
            return "nothing was heard at '\(query)' yet, and no address is declared there "
                + "(\(looked)): 'heddle capture' shows what passes, 'heddle drops' what does not"
        }
        if MACAddress(query) == nil, IPAddress(query) == nil {
            return "nothing is known of '\(query)': it is no IP or MAC address, and no port, host "
                + "by DHCP, namespace or network has that name (\(looked)); 'heddle port list' "
                + "shows the ports"
        }
        return "nothing is known of '\(query)': no port declares it and no host has said that it "
            + "is there (\(looked)); ping it from its network and ask again, and see with "
            + "'heddle capture --drops' whether its frames die"
    }
}
