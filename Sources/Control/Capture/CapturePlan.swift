import Capture
import ControlAPI
import Dataplane
import Topology
import Wire

/// A capture request in the switch's terms: which ports and networks, which filter, or why not.
struct CapturePlan {
    /// Why a capture cannot be, as a sentence for whoever asked for it.
    struct Refusal: Error {
        var sentence: String
    }

    let request: CaptureRequest
    let filter: CaptureFilter
    let snapLength: Int
    /// The ports that were named, or all.
    let points: [CapturePoint]
    /// Whether ports that come later belong to it too.
    let takesAllPorts: Bool
    /// Domains that frames must be of; nil for any.
    let domains: Set<UInt16>?
    let reasons: Set<DropReason>
    let tapPoints: CaptureTap.Points
    let names: [PcapngName]

    init(_ request: CaptureRequest, _ controller: Controller) throws(Refusal) {
        let model = controller.model.withLock { $0 }
        self.request = request
        let known = CapturePlan.points(model, controller)
        var points: [CapturePoint] = []
        for name in request.ports {
            guard let point = known.first(where: { $0.name == name }) else {
                throw Refusal(
                    sentence: "there is no port '\(name)'; there are: "
                        + controller.listed(known.map(\.name)))
            }
            if !points.contains(where: { $0.portIndex == point.portIndex }) {
                points.append(point)
            }
        }
        takesAllPorts = request.ports.isEmpty
        self.points = takesAllPorts ? known : points
        var domains: Set<UInt16> = []
        for name in request.networks {
            guard let number = model.domains[name] else {
                throw Refusal(
                    sentence: "there is no network '\(name)'; there are: "
                        + controller.listed(model.networks.map(\.name)))
            }
            domains.insert(number)
        }
        self.domains = request.networks.isEmpty ? nil : domains
        do {
            filter = try CaptureFilter(request.filter)
        } catch {
            throw Refusal(sentence: "\(error)")
        }
        var reasons: Set<DropReason> = []
        for name in request.reasons {
            guard let reason = DropReason.allCases.first(where: { $0.name == name && $0 != .none })
            else {
                throw Refusal(
                    sentence: "there is no drop reason '\(name)'; there are: "
                        + DropReason.allCases.dropFirst().map(\.name).joined(separator: ", "))
            }
            reasons.insert(reason)
        }
        self.reasons = reasons
        // A client may send any number.
        snapLength =
            request.snaplen > 0
            ? min(request.snaplen, SlotSize.maximumFrame) : SlotSize.maximumFrame
        switch (request.drops, request.direction) {
        case (true, _): tapPoints = .drop
        case (false, .ingress): tapPoints = .ingress
        case (false, .egress): tapPoints = .egress
        case (false, .both): tapPoints = [.ingress, .egress]
        }
        names = CapturePlan.names(model, controller)
    }

    /// What the workers are to copy.
    func tap(_ controller: Controller) -> CaptureTap {
        CaptureTap(
            ports: takesAllPorts ? nil : Set(points.map(\.portIndex)), points: tapPoints,
            reasons: reasons, filter: filter.workerProgram, snapLength: snapLength,
            workers: controller.options.workers, portCapacity: controller.fabric.portCapacity)
    }

    /// Whether a frame that was copied is one that was asked for.
    func wants(_ record: FrameRecord) -> Bool { domains?.contains(record.domain) ?? true }

    // MARK: Points and names

    static func points(_ model: SwitchModel, _ controller: Controller) -> [CapturePoint] {
        model.ports.map { point($0, controller) } + model.tunnels.map { point($0) }
    }

    private static func point(_ port: LivePort, _ controller: Controller) -> CapturePoint {
        let kind: String
        switch port.spec.membership {
        case .access(let network): kind = "network \(network)"
        case .trunk(let networks, let native):
            kind =
                "trunk of \(networks.joined(separator: ", "))"
                + (native.map { ", native \($0)" } ?? "")
        }
        var description = kind
        if case .access(let name) = port.spec.membership,
            let vlan = controller.model.withLock({ $0.network(named: name)?.vlan })
        {
            description += ", VLAN \(vlan.rawValue)"
        }
        if let device = port.device {
            description += ", device \(device.name)"
            if let namespace = port.spec.namespace { description += " in namespace \(namespace)" }
        } else if let socket = port.spec.attachment.socketPath {
            description += ", socket \(socket)"
        }
        return CapturePoint(
            portIndex: port.number, name: port.spec.name, description: description,
            macAddress: address(of: port, controller)?.rawValue)
    }

    private static func address(of port: LivePort, _ controller: Controller) -> MACAddress? {
        port.spec.attachment.madeDevice.map {
            $0.mac ?? controller.provisioning.derivedAddress(of: port.spec)
        }
    }

    /// A tunnel shows its inner frames.
    private static func point(_ tunnel: LiveTunnel) -> CapturePoint {
        CapturePoint(
            portIndex: tunnel.number, name: tunnel.spec.name,
            description: "networks \(tunnel.spec.networks.joined(separator: ", ")), inside the "
                + "tunnel to \(tunnel.spec.remote)",
            macAddress: nil)
    }

    /// What is declared of whose addresses are whose.
    private static func names(_ model: SwitchModel, _ controller: Controller) -> [PcapngName] {
        var names: [PcapngName] = []
        for port in model.ports {
            if let mac = address(of: port, controller) {
                names.append(PcapngName(.mac(mac.rawValue), names: [port.spec.name]))
            }
            for address in port.spec.attachment.madeDevice?.addresses ?? [] {
                names.append(
                    PcapngName(CapturePlan.address(address.address), names: [port.spec.name]))
            }
            for mac in port.spec.staticMACs {
                names.append(PcapngName(.mac(mac.rawValue), names: [port.spec.name]))
            }
        }
        return names
    }

    static func address(_ address: IPAddress) -> PcapngName.Address {
        switch address {
        case .v4(let address): .ipv4(address.rawValue)
        case .v6(let address): .ipv6(high: address.high, low: address.low)
        }
    }
}
