import Dataplane
import Topology

extension Encapsulation {
    /// The kind that a topology names.
    package init(_ kind: OverlayKind) {
        switch kind {
        case .vxlan: self = .vxlan
        case .geneve: self = .geneve
        case .gre: self = .gre
        case .nvgre: self = .nvgre
        }
    }

    /// As people write it.
    var title: String {
        switch self {
        case .vxlan: "VXLAN"
        case .geneve: "Geneve"
        case .gre: "GRE"
        case .nvgre: "NVGRE"
        }
    }
}
