import Netlink
import Topology

/// Which devices of the switch's namespace are ports although no file names them, and as what.
///
/// Theory of operation
///
/// A device says itself where it belongs, by its alias (``DeviceAlias``), or a declared port with
/// `device: {match: …}` is a template that takes it; the alias goes before templates, and of these
/// the first in the file. The port is called as the device is and lives as long as the device does.
/// Not taken are the loopback device, what any Heddle made (it bears a mark), and what another port
/// has already.
///
/// Pure: a listing of the devices and the ports in, a list of ports out. An alias that means nothing
/// is told as a problem, by device; a device that nobody asked for is no problem. Cost: devices
/// times templates.
struct DeviceDiscovery {
    struct Found {
        var spec: PortSpec
        var link: Link
        /// The template; nil where an alias speaks.
        var template: String?
    }

    private(set) var found: [Found] = []
    /// Sentences, for devices that were meant to be ports and cannot be.
    private(set) var problems: [String] = []
    /// How many devices each template took.
    private(set) var matchCounts: [String: Int] = [:]
    /// Whether a device is down and no port: the kernel does not tell when it gets an alias.
    private(set) var hasSilentDevices = false

    /// - Parameters:
    ///   - ports: all ports but those that were discovered before.
    ///   - topology: this host's part, which aliases are read against.
    init(links: [Link], ports: [LivePort], topology: Topology) {
        var takenIndices: Set<Int32> = []
        var takenNames: Set<String> = []
        var namedDevices: Set<String> = []
        var templates: [(port: PortSpec, match: DeviceMatch)] = []
        for port in ports {
            takenNames.insert(port.spec.name)
            if let device = port.device, device.namespace == nil {
                takenIndices.insert(device.index)
            }
            switch port.spec.attachment {
            case .device(.name(let name)): namedDevices.insert(name)
            case .device(.match(let match)): templates.append((port.spec, match))
            default: break
            }
        }
        for link in links.sorted(by: { $0.index < $1.index }) {
            guard !link.flags.contains(.loopback), !takenIndices.contains(link.index),
                !link.alternativeNames.contains(where: { $0.hasPrefix("heddle-") }),
                !namedDevices.contains(where: { link.isNamed($0) })
            else { continue }
            do {
                guard let spec = try specification(of: link, templates, topology) else {
                    if !link.flags.contains(.up) { hasSilentDevices = true }
                    continue
                }
                guard !takenNames.contains(link.name) else {
                    throw Problem(
                        "a port of that name exists: rename the device "
                            + "('ip link set \(link.name) name NEW') or the port")
                }
                guard link.controller == nil else {
                    throw Problem(
                        "it is a port of a bridge or a bond: take it out of there "
                            + "('ip link set \(link.name) nomaster')")
                }
                guard Name.isValid(link.name) else {
                    throw Problem("its name cannot be a port's: rename the device")
                }
                takenNames.insert(link.name)
                found.append(Found(spec: spec.port, link: link, template: spec.template))
            } catch {
                if !link.flags.contains(.up) { hasSilentDevices = true }
                problems.append("device '\(link.name)' is no port: \(error)")
            }
        }
    }

    private struct Problem: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }

    private mutating func specification(
        of link: Link, _ templates: [(port: PortSpec, match: DeviceMatch)], _ topology: Topology
    ) throws -> (port: PortSpec, template: String?)? {
        if let alias = try link.alias.flatMap({ try DeviceAlias.parse($0) }) {
            let resolution = try alias.resolve(in: topology)
            if let unknown = resolution.madeNetworks.first {
                throw Problem(
                    "its alias names VLAN \(unknown.vlan?.rawValue ?? 0), which no network has")
            }
            return (
                PortSpec(
                    name: link.name, membership: resolution.membership,
                    attachment: .device(.name(link.name))), nil
            )
        }
        for (port, match) in templates
        where match.matches(
            name: link.name, alternativeNames: link.alternativeNames, alias: link.alias,
            group: link.group)
        {
            matchCounts[port.name, default: 0] += 1
            var spec = port
            spec.name = link.name
            spec.attachment = .device(.name(link.name))
            spec.staticMACs = []
            return (spec, port.name)
        }
        return nil
    }
}
