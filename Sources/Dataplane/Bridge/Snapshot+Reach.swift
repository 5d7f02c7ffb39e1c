/// Which ports a flooded frame reaches, and why others are left out: what a worker does while it
/// floods, as values for those that explain. Linear in ports; not for the loop over a burst.
extension Snapshot {
    /// Why a member of a domain gets no copy of a flooded frame.
    package enum Exclusion: String, Sendable {
        /// The frame came from there.
        case ingress
        /// Both ports are isolated.
        case isolated
        /// Both are tunnels.
        case splitHorizon
        /// It is administratively down; of a tunnel, there is no way to its host.
        case down
        /// Nobody is at its other end.
        case noPeer
    }

    /// A domain's members other than those that a flooded frame goes to.
    struct Reach {
        var members: [Member] = []
        var leftOut: [(port: UInt16, reason: Exclusion)] = []
    }

    /// Where a frame from `ingress` is flooded to in `domain`.
    func reach(from ingress: UInt16, domain: UInt16) -> Reach {
        var reach = Reach()
        let entry = domains[Int(domain)]
        let flags = ports[Int(ingress)].flags
        var listed: Set<UInt16> = []
        for position in Int(entry.floodStart)..<Int(entry.floodStart + entry.floodCount) {
            let member = members[position]
            listed.insert(member.port)
            guard member.port != ingress else { continue }
            let both = flags.intersection(ports[Int(member.port)].flags)
            if both.isDisjoint(with: .apart) {
                reach.members.append(member)
            } else {
                reach.leftOut.append(
                    (member.port, both.contains(.tunnel) ? .splitHorizon : .isolated))
            }
        }
        for number in 0..<UInt16(portCount) where ports[Int(number)].flags.contains(.exists) {
            guard ports[Int(number)].isMember(of: domain) else { continue }
            if number == ingress {
                reach.leftOut.append((number, .ingress))
            } else if !listed.contains(number) {
                reach.leftOut.append(
                    (number, ports[Int(number)].flags.contains(.up) ? .noPeer : .down))
            }
        }
        reach.leftOut.sort { $0.port < $1.port }
        return reach
    }

    /// Why a copy of a packet of that length may not enter a tunnel; `.none` when it may.
    func tunnelRefusal(_ port: UInt16, packetByteCount: UInt32) -> DropReason {
        let entry = ports[Int(port)]
        guard entry.flags.contains(.up) else { return .tunnelDown }
        let tunnel = tunnelTable.tunnels[Int(entry.tunnel)]
        return packetByteCount <= tunnel.maximumPacketByteCount ? .none : .overlayMTU
    }

    /// Whether a number is a tunnel's.
    package func isTunnel(_ port: UInt16) -> Bool {
        Int(port) < portCount && ports[Int(port)].flags.contains(.tunnel)
    }

    /// The domains that a port or tunnel is a member of.
    package func domains(of port: UInt16) -> [UInt16] {
        guard Int(port) < portCount, ports[Int(port)].flags.contains(.exists) else { return [] }
        return (0..<UInt16(domainCount)).filter { ports[Int(port)].isMember(of: $0) }
    }
}
