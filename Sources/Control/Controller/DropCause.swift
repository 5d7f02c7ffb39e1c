import Dataplane
import Topology

/// Why frames were dropped at a port, in terms of what was declared: a sentence about this port and
/// these frames, and the line of the topology file that made it so.
struct DropCause {
    /// Nil where the reason's own sentence says everything.
    private(set) var sentence: String?
    /// `FILE:LINE`; nil where no line is to blame.
    private(set) var source: String?

    /// - Parameters:
    ///   - port: nil for a tunnel or an underlay.
    ///   - frames: the last ones of that reason at that port.
    init(
        _ reason: DropReason, port: PortSpec?, frames: [RecordedFrame], _ model: SwitchModel
    ) {
        guard let port else { return }
        let path = "ports.\(port.name)"
        let networks = port.membership.networks
        switch reason {
        case .vlanNotAllowed:
            sentence =
                DropCause.vlans(of: frames)
                + " is not in trunk [\(networks.joined(separator: ", "))]"
            locate(["\(path).trunk", path], model)
        case .untaggedOnTrunk:
            sentence =
                "the frames are untagged and trunk [\(networks.joined(separator: ", "))] has no "
                + "native network"
            locate(["\(path).trunk", path], model)
        case .tagOnAccess:
            sentence =
                DropCause.vlans(of: frames) + " came to an access port of network "
                + (networks.first ?? "")
            locate(["\(path).network", path], model)
        case .sourcePinned:
            locate(["\(path).sticky", "\(path).static", path], model)
        case .oversize:
            guard
                let network = networks.compactMap({ model.network(named: $0) }).min(by: {
                    $0.mtu < $1.mtu
                })
            else { return }
            let longest = frames.map { Int($0.record.originalByteCount) - 14 }.max()
            sentence =
                "network \(network.name) has MTU \(network.mtu)"
                + (longest.map { ", the longest packet \($0) bytes" } ?? "")
            locate(["networks.\(network.name).mtu", "networks.\(network.name)"], model)
        case .isolated: locate(["\(path).isolated", path], model)
        case .portDown: locate(["\(path).up", path], model)
        default: break
        }
    }

    /// The first of the paths that stands in the file.
    private mutating func locate(_ paths: [String], _ model: SwitchModel) {
        guard let location = paths.lazy.compactMap({ model.locations[$0] }).first else { return }
        source = "\(model.documentName):\(location.line)"
    }

    /// `VLAN 30`, or several.
    private static func vlans(of frames: [RecordedFrame]) -> String {
        let found = Set(frames.map { $0.record.tci & 0xFFF }).subtracting([0]).sorted()
        switch found.count {
        case 0: return "the frames' VLAN"
        case 1: return "VLAN \(found[0])"
        default: return "VLANs " + found.map(String.init).joined(separator: ", ")
        }
    }
}
