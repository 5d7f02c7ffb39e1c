import Wire

/// A tunnel: all networks that travel between this host and another in one encapsulation.
package struct TunnelSpec: Hashable, Sendable {
    /// An address that lives behind the tunnel for good.
    package struct Station: Hashable, Sendable {
        package var network: String
        package var mac: MACAddress

        package init(network: String, mac: MACAddress) {
            self.network = network
            self.mac = mac
        }
    }

    /// The other host.
    package var host: String
    package var encapsulation: OverlaySpec
    /// This host's underlay address.
    package var local: IPAddress
    /// The other host's.
    package var remote: IPAddress
    /// Networks with a VNI in which both hosts take part, in the topology's order; never empty.
    package var networks: [String]
    /// Addresses that the other host's ports declare.
    package var staticMACs: [Station]

    package init(
        host: String,
        encapsulation: OverlaySpec,
        local: IPAddress,
        remote: IPAddress,
        networks: [String],
        staticMACs: [Station] = []
    ) {
        self.host = host
        self.encapsulation = encapsulation
        self.local = local
        self.remote = remote
        self.networks = networks
        self.staticMACs = staticMACs
    }

    /// `vxlan:beta`; `vxlan-8472:beta` for a port that is not the kind's own. No port's name has a
    /// colon.
    package var name: String { "\(encapsulation.name):\(host)" }
    package var kind: OverlayKind { encapsulation.kind }
    /// The UDP port; nil for kinds without ports.
    package var port: UInt16? { encapsulation.port }
    package var overhead: Overhead { Overhead(kind, over: remote) }
    package var underlay: UnderlaySpec { UnderlaySpec(encapsulation, local: local) }
}

/// Where this host receives for all tunnels of an encapsulation. GRE and NVGRE are one IP protocol
/// and so one underlay.
package struct UnderlaySpec: Hashable, Sendable {
    /// `gre` for NVGRE as well.
    package var kind: OverlayKind
    package var port: UInt16?
    package var local: IPAddress

    package init(_ encapsulation: OverlaySpec, local: IPAddress) {
        kind = encapsulation.kind == .nvgre ? .gre : encapsulation.kind
        port = encapsulation.port
        self.local = local
    }

    /// `underlay:vxlan`; `underlay:vxlan-8472` for a port that is not the kind's own.
    package var name: String { "underlay:\(OverlaySpec(kind: kind, port: port).name)" }
}
