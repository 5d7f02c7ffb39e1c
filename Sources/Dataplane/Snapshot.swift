/// One generation of configuration in the form that forwarding reads: flat, immutable tables.
///
/// Built by the control side, published through ``SnapshotCell``, picked up by every worker between
/// two bursts, and released by the control side when all of them have moved on, so that no worker
/// ever pays for closing a port.
package final class Snapshot: @unchecked Sendable {
    // @unchecked: everything is constant after init; the pointers are freed in deinit only.

    /// What forwarding knows of a port.
    struct PortEntry {
        /// The domain of untagged and priority-tagged frames; 0 for none.
        var untaggedDomain: UInt16
        var flags: Flags
        var worker: UInt8
        /// Of a tunnel: its place in the ``TunnelTable``.
        var tunnel: UInt16 = 0
        /// A bit per domain: those that the port is a member of, tagged or not.
        var domains: UnsafePointer<UInt64>

        struct Flags: OptionSet {
            let rawValue: UInt8
            static let exists = Flags(rawValue: 1)
            static let up = Flags(rawValue: 2)
            static let isolated = Flags(rawValue: 4)
            static let sticky = Flags(rawValue: 8)
            static let access = Flags(rawValue: 16)
            static let captured = Flags(rawValue: 32)
            static let tunnel = Flags(rawValue: 64)
            /// Some of the frames that come in by it are copied.
            static let sampled = Flags(rawValue: 128)
            /// Of what two ports may not both be, to reach each other.
            static let apart: Flags = [.isolated, .tunnel]
        }

        /// Whether the port is a member of a domain; nobody is of domain 0.
        @inline(__always)
        func isMember(of domain: UInt16) -> Bool {
            domains[Int(domain >> 6)] & (1 &<< UInt64(domain & 63)) != 0
        }
    }

    /// What forwarding knows of a domain.
    struct DomainEntry {
        var mtu: UInt32
        var vid: UInt16
        var exists: Bool
        var vni: UInt32
        var floodStart: UInt32
        var floodCount: UInt32
    }

    /// A member of a domain's flood list.
    struct Member {
        var port: UInt16
        /// VLAN ID to tag with; 0 for untagged.
        var vid: UInt16
    }

    package let generation: UInt64
    package let portCount: Int
    package let domainCount: Int
    let ports: UnsafeMutablePointer<PortEntry>
    let domains: UnsafeMutablePointer<DomainEntry>
    let members: UnsafeMutablePointer<Member>
    /// VLAN ID → domain number; 0 for none. 4096 places.
    let domainOfVID: UnsafeMutablePointer<UInt16>
    /// The ports' sets of domains, one after the other.
    private let domainSets: UnsafeMutablePointer<UInt64>
    /// The ports themselves, by number.
    let attachments: UnsafeMutablePointer<PortReference?>
    let captures: [CaptureTap]
    /// Whether one of them wants what is dropped.
    let capturesDrops: Bool
    let recorder: FlightRecorder?
    let tunnelTable: TunnelTable
    package let configuration: DataplaneConfiguration

    /// - Precondition: numbers are unique; every domain a port names exists; domain numbers are
    ///   not 0.
    package init(_ configuration: DataplaneConfiguration, generation: UInt64) {
        precondition(configuration.captures.count <= CaptureTap.limit, "too many captures")
        self.generation = generation
        self.configuration = configuration
        let numbers =
            configuration.ports.map(\.number) + configuration.tunnels.map(\.number)
            + configuration.underlays.map(\.number)
        portCount = numbers.map { Int($0) + 1 }.max() ?? 0
        tunnelTable = TunnelTable(configuration)
        domainCount = (configuration.domains.map { Int($0.number) + 1 }.max() ?? 1)

        let setSize = domainCount / 64 + 1
        domainSets = .allocate(capacity: setSize * max(portCount, 1))
        domainSets.initialize(repeating: 0, count: setSize * max(portCount, 1))
        ports = .allocate(capacity: max(portCount, 1))
        ports.initialize(
            repeating: PortEntry(untaggedDomain: 0, flags: [], worker: 0, domains: domainSets),
            count: max(portCount, 1))
        domains = .allocate(capacity: domainCount)
        domains.initialize(
            repeating: DomainEntry(
                mtu: 0, vid: 0, exists: false, vni: 0, floodStart: 0, floodCount: 0),
            count: domainCount)
        domainOfVID = .allocate(capacity: 4096)
        domainOfVID.initialize(repeating: 0, count: 4096)

        for domain in configuration.domains {
            precondition(domain.number != 0 && !domains[Int(domain.number)].exists)
            domains[Int(domain.number)] = DomainEntry(
                mtu: domain.mtu, vid: domain.vid, exists: true, vni: domain.vni, floodStart: 0,
                floodCount: 0)
            if domain.vid != 0 { domainOfVID[Int(domain.vid)] = domain.number }
        }

        attachments = .allocate(capacity: max(portCount, 1))
        attachments.initialize(repeating: nil, count: max(portCount, 1))
        for port in configuration.ports {
            precondition(attachments[Int(port.number)] == nil, "two ports have one number")
            attachments[Int(port.number)] = PortReference(port.port)
            var flags: PortEntry.Flags = .exists
            if port.isUp { flags.insert(.up) }
            if port.isIsolated { flags.insert(.isolated) }
            if port.isSticky { flags.insert(.sticky) }
            flags.formUnion(Snapshot.captureFlags(port.number, configuration))
            let set = domainSets + setSize * Int(port.number)
            var entry = PortEntry(
                untaggedDomain: 0, flags: flags, worker: UInt8(port.worker), domains: set)
            switch port.membership {
            case .access(let domain):
                precondition(domains[Int(domain)].exists)
                entry.untaggedDomain = domain
                entry.flags.insert(.access)
            case .trunk(let allowed, let native):
                for domain in allowed {
                    let vid = domains[Int(domain)].vid
                    precondition(vid != 0, "a trunk carries a domain that has no VLAN ID")
                    set[Int(domain >> 6)] |= 1 << UInt64(domain & 63)
                }
                entry.untaggedDomain = native ?? 0
            }
            if entry.untaggedDomain != 0 {
                let domain = entry.untaggedDomain
                set[Int(domain >> 6)] |= 1 << UInt64(domain & 63)
            }
            ports[Int(port.number)] = entry
        }
        for (place, tunnel) in configuration.tunnels.enumerated() {
            precondition(!ports[Int(tunnel.number)].flags.contains(.exists))
            var flags: PortEntry.Flags = [.exists, .tunnel]
            if tunnel.isUp { flags.insert(.up) }
            flags.formUnion(Snapshot.captureFlags(tunnel.number, configuration))
            let set = domainSets + setSize * Int(tunnel.number)
            for domain in tunnel.domains {
                precondition(domains[Int(domain)].vni != 0, "a tunnel's domain has no VNI")
                set[Int(domain >> 6)] |= 1 << UInt64(domain & 63)
            }
            let underlay = tunnelTable.underlays[Int(tunnelTable.tunnels[place].underlay)]
            ports[Int(tunnel.number)] = PortEntry(
                untaggedDomain: 0, flags: flags, worker: underlay.worker,
                tunnel: UInt16(place), domains: set)
        }
        captures = configuration.captures
        capturesDrops = captures.contains { $0.points.contains(.drop) }
        recorder = configuration.recorder

        // Flood lists, one after the other in a single block.
        var lists = [[Member]](repeating: [], count: domainCount)
        for port in configuration.ports.sorted(by: { $0.number < $1.number })
        where port.isUp && port.hasPeer {
            switch port.membership {
            case .access(let domain):
                lists[Int(domain)].append(Member(port: port.number, vid: 0))
            case .trunk(let allowed, let native):
                for domain in Set(allowed).sorted() where domain != native {
                    lists[Int(domain)].append(
                        Member(port: port.number, vid: domains[Int(domain)].vid))
                }
                if let native { lists[Int(native)].append(Member(port: port.number, vid: 0)) }
            }
        }
        for tunnel in configuration.tunnels.sorted(by: { $0.number < $1.number }) where tunnel.isUp
        {
            for domain in tunnel.domains {
                lists[Int(domain)].append(Member(port: tunnel.number, vid: 0))
            }
        }
        members = .allocate(capacity: max(1, lists.reduce(0) { $0 + $1.count }))
        var position = 0
        for (number, list) in lists.enumerated() {
            domains[number].floodStart = UInt32(position)
            domains[number].floodCount = UInt32(list.count)
            for member in list {
                (members + position).initialize(to: member)
                position += 1
            }
        }
    }

    /// The VLAN ID that a port wants in a domain (0: untagged); nil when it is no member.
    @inline(__always)
    static func egressVID(
        of port: PortEntry, in domain: UInt16, domains: UnsafeMutablePointer<DomainEntry>
    ) -> UInt16? {
        guard port.isMember(of: domain) else { return nil }
        // Where access and trunk ports mix, which of the two it is cannot be predicted, and the
        // branch that the compiler would make of a choice waits for the FDB: all ones unless equal.
        let tagged = (0 &- UInt32(port.untaggedDomain ^ domain)) >> 16
        return domains[Int(domain)].vid & UInt16(truncatingIfNeeded: tagged)
    }

    /// As ``egressVID(of:in:domains:)``, by number.
    func egressVID(port: UInt16, domain: UInt16) -> UInt16? {
        Snapshot.egressVID(of: ports[Int(port)], in: domain, domains: domains)
    }

    private static func captureFlags(
        _ port: UInt16, _ configuration: DataplaneConfiguration
    ) -> PortEntry.Flags {
        var flags: PortEntry.Flags = []
        if configuration.captures.contains(where: { $0.covers(port: port) }) {
            flags.insert(.captured)
        }
        if configuration.captures.contains(where: { $0.samples(port: port) }) {
            flags.insert(.sampled)
        }
        return flags
    }

    deinit {
        for number in 0..<portCount { attachments[number]?.release() }
        attachments.deallocate()
        domainSets.deallocate()
        ports.deallocate()
        domains.deallocate()
        members.deallocate()
        domainOfVID.deallocate()
    }
}
