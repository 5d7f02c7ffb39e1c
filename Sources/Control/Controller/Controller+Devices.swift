import Netlink
import Topology

/// Ports on devices that are not of Heddle's making: they appear and disappear with their devices.
extension Controller {
    /// Brings the device ports into line with the devices that there are in the switch's namespace.
    ///
    /// Called after each change of the switch and each batch of link events, with `changes` held. A
    /// device that cannot be had is told and left; the next change tries it again.
    func reconcileDevices(_ state: inout InstanceState) {
        var problems: [String] = []
        let before = model.withLock { $0 }
        let links: [Link]
        do {
            links = try NetlinkSocket().links()
        } catch {
            log.warning("cannot list the devices: \(error)")
            return
        }
        let discovery = DeviceDiscovery(
            links: links, ports: before.ports.filter { $0.origin != .discovered },
            topology: before.localTopology)
        problems += discovery.problems
        let difference = DeviceDifference(discovery: discovery, links: links, model: before)
        if !difference.isEmpty {
            var transaction = Transaction(
                self, model: before, state: state, target: before.localTopology)
            for name in difference.gone { transaction.detach(name) }
            for found in difference.changed { transaction.changeDiscovered(found) }
            for name in difference.unplugged { try? transaction.plug(nil, into: name) }
            for (name, link) in difference.plugged {
                guard link.controller == nil else {
                    problems.append(
                        "port '\(name)': device '\(link.name)' is a port of a bridge or a bond: "
                            + "take it out of there ('ip link set \(link.name) nomaster')")
                    continue
                }
                do {
                    try transaction.plug(link, into: name)
                } catch {
                    problems.append("port '\(name)': device '\(link.name)': \(error)")
                }
            }
            for found in difference.appeared {
                do {
                    try transaction.attachDiscovered(found)
                } catch {
                    problems.append("device '\(found.link.name)' is no port: \(error)")
                }
            }
            do {
                defer { state = transaction.state }
                try transaction.finish()
                report(difference)
            } catch {
                problems.append(contentsOf: error.lines)
            }
        }
        watcher.lookAround(discovery.hasSilentDevices)
        noteTemplates(discovery.matchCounts)
        for problem in problems where !before.discoveryProblems.contains(problem) {
            log.warning("\(problem)")
        }
        model.withLock { $0.discoveryProblems = problems }
    }

    private func report(_ difference: DeviceDifference) {
        for name in difference.gone { log.notice("port '\(name)' is gone with its device") }
        for name in difference.unplugged {
            log.notice("port '\(name)' is down: its device is gone")
        }
        for (name, link) in difference.plugged {
            log.notice("port '\(name)' has its device '\(link.name)'")
        }
        for found in difference.changed {
            log.notice(
                "port '\(found.spec.name)' is in \(found.spec.membership.networks.joined(separator: ", ")) now"
            )
        }
        for found in difference.appeared {
            let reason = found.template.map { "it matches '\($0)'" } ?? "its alias says so"
            log.notice("port '\(found.spec.name)' appeared with its device: \(reason)")
        }
    }

    /// A template is up while it has devices.
    private func noteTemplates(_ counts: [String: Int]) {
        for port in model.withLock({ $0.ports }) {
            guard case .device(.match(let match)) = port.spec.attachment else { continue }
            setCondition(
                counts[port.spec.name, default: 0] > 0
                    ? .up : .down(reason: "no device matches it: \(match)")
            ) { $0.number == port.number }
        }
    }
}

/// What has to be done to device ports.
private struct DeviceDifference {
    /// Discovered ports whose device is gone.
    var gone: [String] = []
    /// Discovered ports whose device wants to be something else.
    var changed: [DeviceDiscovery.Found] = []
    var appeared: [DeviceDiscovery.Found] = []
    /// Ports with a device's name: those whose device came, and those whose device left.
    var plugged: [(name: String, link: Link)] = []
    var unplugged: [String] = []

    var isEmpty: Bool {
        gone.isEmpty && changed.isEmpty && appeared.isEmpty && plugged.isEmpty && unplugged.isEmpty
    }

    init(discovery: DeviceDiscovery, links: [Link], model: SwitchModel) {
        var wanted: [String: DeviceDiscovery.Found] = [:]
        for found in discovery.found { wanted[found.spec.name] = found }
        for port in model.ports where port.origin == .discovered {
            if let found = wanted[port.spec.name], found.link.index == port.device?.index {
                wanted[port.spec.name] = nil
                if found.spec != port.spec { changed.append(found) }
            } else {
                gone.append(port.spec.name)
            }
        }
        appeared = discovery.found.filter { wanted[$0.spec.name] != nil }
        for port in model.ports where port.origin != .discovered {
            guard case .device(.name(let name)) = port.spec.attachment else { continue }
            let link = links.first { $0.isNamed(name) }
            guard link?.index != port.device?.index else { continue }
            if port.device != nil { unplugged.append(port.spec.name) }
            if let link { plugged.append((port.spec.name, link)) }
        }
    }
}
