/// Which networks have an MTU that the underlay cannot carry in one piece.
///
/// A tunnel never fragments (RFC 7348, section 4.3), so what does not fit is answered by "too big"
/// or lost: better to know before. A network is told once, with the tunnel that carries the least.
/// Cost: linear in the networks of all tunnels.
struct UnderlayFit {
    let notes: [String]

    /// - Parameter underlayMTUs: by tunnel; one that is missing is not judged.
    init(_ part: HostPart, underlayMTUs: [String: Int]) {
        let mtus = Dictionary(
            part.topology.networks.map { ($0.name, $0.mtu) },
            uniquingKeysWith: { first, _ in first })
        struct Misfit {
            var tunnel: String
            var carried: Int
            var neededMTU: Int
            var others = 0
        }
        var misfits: [String: Misfit] = [:]
        for tunnel in part.tunnels {
            guard let underlayMTU = underlayMTUs[tunnel.name] else { continue }
            let overhead = tunnel.overhead
            let carried = overhead.maximumPacketByteCount(underlayMTU: underlayMTU)
            for network in tunnel.networks {
                guard let mtu = mtus[network], mtu > carried else { continue }
                let needed = mtu + overhead.byteCount
                guard var misfit = misfits[network] else {
                    misfits[network] = Misfit(
                        tunnel: tunnel.name, carried: carried, neededMTU: needed)
                    continue
                }
                misfit.others += 1
                misfit.neededMTU = max(misfit.neededMTU, needed)
                if carried < misfit.carried {
                    misfit.tunnel = tunnel.name
                    misfit.carried = carried
                }
                misfits[network] = misfit
            }
        }
        notes = part.topology.networks.compactMap { network in
            guard let misfit = misfits[network.name] else { return nil }
            let others =
                misfit.others == 0
                ? "" : "; \(misfit.others) more tunnel\(misfit.others == 1 ? "" : "s") too small"
            let start = "network '\(network.name)': mtu \(network.mtu) does not fit the underlay"
            let remedy = "raise the underlay's MTU to \(misfit.neededMTU)"
            guard misfit.carried >= NetworkSpec.mtuRange.lowerBound else {
                return "\(start) (\(misfit.tunnel): nothing does): \(remedy)"
            }
            return "\(start) (\(misfit.tunnel): \(misfit.carried) does\(others)); "
                + "set 'mtu: \(misfit.carried)', or \(remedy)"
        }
    }
}
