/// How frames of a network travel between hosts.
package enum OverlayKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// RFC 7348.
    case vxlan
    /// RFC 8926.
    case geneve
    /// Ethernet in GRE with the VNI as its key (RFC 2784, RFC 2890).
    case gre
    /// RFC 7637.
    case nvgre

    /// The UDP port that IANA assigned; nil for kinds that are IP protocols of their own.
    package var defaultPort: UInt16? {
        switch self {
        case .vxlan: 4789
        case .geneve: 6081
        case .gre, .nvgre: nil
        }
    }

    /// The network identifiers that it can carry. A GRE key has 32 bits; VNIs are kept to 24, so
    /// that a network may change its encapsulation. NVGRE reserves both ends (RFC 7637, section
    /// 3.2).
    package var vniRange: ClosedRange<UInt32> {
        switch self {
        case .vxlan, .geneve, .gre: NetworkSpec.vniRange
        case .nvgre: 0x1000...0xFF_FFFE
        }
    }
}

/// An encapsulation: a kind, and the UDP port of one that has ports.
package struct OverlaySpec: Hashable, Sendable {
    package var kind: OverlayKind
    /// Nil exactly for kinds without ports.
    package var port: UInt16?

    /// Without a port, the kind's own; kinds without ports take none.
    package init(kind: OverlayKind = .vxlan, port: UInt16? = nil) {
        self.kind = kind
        self.port = kind.defaultPort.map { port ?? $0 }
    }

    /// `vxlan`; `vxlan-8472` where the port is not the kind's own.
    package var name: String {
        guard let port, port != kind.defaultPort else { return kind.rawValue }
        return "\(kind.rawValue)-\(port)"
    }
}

/// What holds for all tunnels of a topology.
package struct TunnelSettings: Hashable, Sendable {
    package static let probeMillisecondsRange = 50...10_000

    /// Whether peers are asked if they are there.
    package var probes: Bool
    package var probeMilliseconds: Int
    /// Whether TCP connections are told what fits a tunnel.
    package var clampsMSS: Bool

    package init(probes: Bool = false, probeMilliseconds: Int = 200, clampsMSS: Bool = false) {
        self.probes = probes
        self.probeMilliseconds = probeMilliseconds
        self.clampsMSS = clampsMSS
    }
}
