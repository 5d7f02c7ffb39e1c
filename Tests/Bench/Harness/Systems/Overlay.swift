/// What overlays of the bench have in common, whoever builds them.
enum Overlay {
    enum Kind: String, Sendable {
        case vxlan, geneve
    }

    static let vni = 10010
    /// IP MTU of the network: what fits an underlay of 1500 with VXLAN or Geneve over IPv4.
    static let mtu = 1450
}
