/// How many things a plan makes, changes and removes.
package struct PlanSummary: Codable, Sendable, Equatable, CustomStringConvertible {
    package var added: Int
    package var changed: Int
    package var removed: Int

    package init(added: Int = 0, changed: Int = 0, removed: Int = 0) {
        self.added = added
        self.changed = changed
        self.removed = removed
    }

    package var description: String {
        added + changed + removed == 0
            ? "nothing to do" : "\(added) to add, \(changed) to change, \(removed) to remove"
    }
}

/// A plan as JSON: what a listing shows and the API answers.
package struct PlanReport: Codable, Sendable, Equatable {
    package struct Step: Codable, Sendable, Equatable {
        /// `createNamespace`, `attachPort`, …: the action's name.
        package var action: String
        /// The namespace, network or port; nil for the switch.
        package var name: String?
        /// As a person reads it: `+ port web-1: …`.
        package var text: String
    }

    package var steps: [Step]
    /// What to know besides.
    package var notes: [String]
    package var summary: PlanSummary
}

extension Plan {
    package var summary: PlanSummary {
        var summary = PlanSummary()
        for action in actions {
            switch action.sign {
            case "+": summary.added += 1
            case "-": summary.removed += 1
            default: summary.changed += 1
            }
        }
        return summary
    }

    /// One line for each action, in order.
    package var lines: [String] { actions.map(\.description) }

    package var report: PlanReport {
        PlanReport(
            steps: actions.map { .init(action: $0.kind, name: $0.name, text: $0.description) },
            notes: notes, summary: summary)
    }
}

extension Plan: CustomStringConvertible {
    /// The lines, the notes and the summary.
    package var description: String {
        (lines + notes.map { "note: \($0)" } + [summary.description]).joined(separator: "\n")
    }
}

extension Action: CustomStringConvertible {
    /// The action's name in JSON.
    package var kind: String {
        switch self {
        case .updateSwitch: "updateSwitch"
        case .createNamespace: "createNamespace"
        case .addNetwork: "addNetwork"
        case .detachPort: "detachPort"
        case .updatePort: "updatePort"
        case .attachPort: "attachPort"
        case .repairPort: "repairPort"
        case .updateNetwork: "updateNetwork"
        case .removeNetwork: "removeNetwork"
        case .removeNamespace: "removeNamespace"
        case .updateTunnelSettings: "updateTunnelSettings"
        case .addTunnel: "addTunnel"
        case .changeTunnel: "changeTunnel"
        case .removeTunnel: "removeTunnel"
        }
    }

    /// What it acts on; nil for the switch as a whole.
    package var name: String? {
        switch self {
        case .updateSwitch, .updateTunnelSettings: nil
        case .createNamespace(let name), .removeNamespace(let name): name
        case .addNetwork(let network), .removeNetwork(let network): network.name
        case .updateNetwork(_, let network, _): network.name
        case .detachPort(let port), .attachPort(let port), .repairPort(let port): port.name
        case .updatePort(_, let port): port.name
        case .addTunnel(let tunnel), .changeTunnel(_, let tunnel): tunnel.name
        case .removeTunnel(let name): name
        }
    }

    /// `+`, `-` or `~`: it makes, removes or changes.
    package var sign: Character {
        switch self {
        case .createNamespace, .addNetwork, .attachPort, .addTunnel: "+"
        case .removeNamespace, .removeNetwork, .detachPort, .removeTunnel: "-"
        case .updateSwitch, .updateNetwork, .updatePort, .repairPort, .updateTunnelSettings,
            .changeTunnel:
            "~"
        }
    }

    /// `+ port web-1: tap in namespace web-1 on network blue`
    package var description: String {
        "\(sign) \(subject)\(detail.isEmpty ? "" : ": \(detail)")"
    }

    /// What it acts on, with its kind: `port web-1`.
    package var subject: String {
        switch self {
        case .updateSwitch: "switch"
        case .createNamespace(let name), .removeNamespace(let name): "namespace \(name)"
        case .addNetwork(let network), .removeNetwork(let network): "network \(network.name)"
        case .updateNetwork(_, let network, _): "network \(network.name)"
        case .attachPort(let port), .detachPort(let port), .repairPort(let port):
            "port \(port.name)"
        case .updatePort(_, let port): "port \(port.name)"
        case .updateTunnelSettings: "tunnels"
        case .addTunnel(let tunnel), .changeTunnel(_, let tunnel): "tunnel \(tunnel.name)"
        case .removeTunnel(let name): "tunnel \(name)"
        }
    }

    /// What is said of it; empty where nothing more is.
    package var detail: String {
        switch self {
        case .updateSwitch(let from, let to): from.changes(to: to)
        case .createNamespace, .removeNamespace, .removeNetwork, .removeTunnel: ""
        case .addNetwork(let network): network.facts
        case .updateNetwork(let from, let to, let ports):
            from.changes(to: to) + (ports.isEmpty ? "" : " (\(counted("port", ports)))")
        case .attachPort(let port), .detachPort(let port):
            "\(port.attachment.facts) \(port.membership.facts)"
        case .updatePort(let from, let to): from.changes(to: to)
        case .repairPort(let port): "its device is missing, \(port.attachment.facts) made again"
        case .updateTunnelSettings(let from, let to): from.changes(to: to)
        case .addTunnel(let tunnel): tunnel.facts
        case .changeTunnel(let from, let to): from.changes(to: to)
        }
    }
}

private func change<Value: Equatable>(
    _ title: String, _ from: Value, _ to: Value, _ text: (Value) -> String
) -> String? {
    from == to ? nil : "\(title) \(text(from)) → \(text(to))"
}

/// `port a`, `ports a, b`, `ports a, b, c, d and 3 more`
private func counted(_ noun: String, _ names: [String]) -> String {
    let shown = names.prefix(4).joined(separator: ", ")
    let more = names.count > 4 ? " and \(names.count - 4) more" : ""
    return "\(noun)\(names.count == 1 ? "" : "s") \(shown)\(more)"
}

private func onOff(_ flag: Bool) -> String { flag ? "on" : "off" }

private func list<Element>(_ elements: [Element]) -> String {
    elements.isEmpty ? "none" : elements.map { "\($0)" }.joined(separator: " ")
}

extension SwitchSpec {
    fileprivate func changes(to other: SwitchSpec) -> String {
        [
            change("ageing", ageingSeconds, other.ageingSeconds) { "\($0)s" },
            change("fdb-limit", fdbLimit, other.fdbLimit, String.init),
            change("port-fdb-limit", portFDBLimit, other.portFDBLimit, String.init),
            change("loop-hold", loopHoldSeconds, other.loopHoldSeconds) {
                $0.map { "\($0)s" } ?? "off"
            },
            change("loop-probe", loopProbeSeconds, other.loopProbeSeconds) {
                $0.map { "\($0)s" } ?? "off"
            },
            change("recorder", recorder, other.recorder, onOff),
            change("sflow", sflow, other.sflow) { $0?.facts ?? "off" },
        ].compactMap(\.self).joined(separator: ", ")
    }
}

extension SFlowSpec {
    fileprivate var facts: String {
        "to \(collector), 1 of \(sampling), \(headerByteCount) bytes, every \(pollingSeconds)s"
            + (agent.map { ", as \($0)" } ?? "")
    }
}

extension NetworkSpec {
    fileprivate var facts: String {
        "\(vlan.map { "vlan \($0)" } ?? "no vlan"), mtu \(mtu)"
            + (vni.map { ", vni \($0)" } ?? "") + (overlay.map { ", overlay \($0.name)" } ?? "")
    }

    fileprivate func changes(to other: NetworkSpec) -> String {
        [
            change("vlan", vlan, other.vlan) { $0?.description ?? "none" },
            change("mtu", mtu, other.mtu, String.init),
            change("vni", vni, other.vni) { $0.map(String.init) ?? "none" },
            change("overlay", overlay, other.overlay) { $0?.name ?? "none" },
        ].compactMap(\.self).joined(separator: ", ")
    }
}

extension TunnelSettings {
    fileprivate func changes(to other: TunnelSettings) -> String {
        [
            change("probe", probes, other.probes, onOff),
            change("probe-interval", probeMilliseconds, other.probeMilliseconds) { "\($0)ms" },
            change("mss-clamp", clampsMSS, other.clampsMSS, onOff),
        ].compactMap(\.self).joined(separator: ", ")
    }
}

extension TunnelSpec {
    fileprivate var facts: String {
        "\(local) → \(remote), \(counted("network", networks))"
    }

    fileprivate func changes(to other: TunnelSpec) -> String {
        let (before, after) = (Set(networks), Set(other.networks))
        let joined = other.networks.filter { !before.contains($0) }
        let left = networks.filter { !after.contains($0) }
        return [
            change("from", local, other.local) { "\($0)" },
            change("to", remote, other.remote) { "\($0)" },
            joined.isEmpty ? nil : "now with \(counted("network", joined))",
            left.isEmpty ? nil : "no longer with \(counted("network", left))",
            Set(staticMACs) == Set(other.staticMACs)
                ? nil
                : staticMACs.count == other.staticMACs.count
                    ? "other static addresses"
                    : "static addresses \(staticMACs.count) → \(other.staticMACs.count)",
        ].compactMap(\.self).joined(separator: ", ")
    }
}

extension Membership {
    fileprivate var facts: String {
        switch self {
        case .access(let network): "on network \(network)"
        case .trunk(let networks, let native):
            "as a trunk of \(networks.joined(separator: " "))"
                + (native.map { ", native \($0)" } ?? "")
        }
    }
}

extension Attachment {
    fileprivate var facts: String {
        switch self {
        case .tap(let tap): "tap\(tap.facts)"
        case .veth(let veth): "veth\(veth.facts)"
        case .device(.name(let name)): "device \(name)"
        case .device(.match(let match)): "devices with \(match)"
        case .vhostUser(let card): "vhost-user \(card.mode) at \(card.socket)"
        case .socket(let socket):
            socket.protocol == .qemuDgram
                ? "qemu-dgram at \(socket.path)"
                : "\(socket.protocol.rawValue) \(socket.mode) at \(socket.path)"
        case .pcap(let pcap):
            "pcap"
                + [pcap.read.map { " read \($0)" }, pcap.write.map { " write \($0)" }]
                .compactMap(\.self).joined()
        }
    }
}

extension MadeDeviceSpec {
    fileprivate var facts: String {
        (device.map { " \($0)" } ?? "") + (namespace.map { " in namespace \($0)" } ?? "")
    }
}

extension PortSpec {
    fileprivate func changes(to other: PortSpec) -> String {
        var changes: [String?] = [change("host", host, other.host) { $0 ?? "none" }]
        if case (.access(let from), .access(let to)) = (membership, other.membership) {
            changes.append(change("network", from, to, { $0 }))
        } else if membership != other.membership {
            changes.append("\(membership.facts) → \(other.membership.facts)")
        }
        changes.append(change("isolated", isolated, other.isolated, onOff))
        changes.append(
            change("fdb-limit", fdbLimit, other.fdbLimit) { $0.map(String.init) ?? "default" })
        changes.append(change("static", staticMACs, other.staticMACs, list))
        changes.append(change("sticky", sticky, other.sticky, onOff))
        changes.append(change("state", up, other.up) { $0 ? "up" : "down" })
        changes.append(description == other.description ? nil : "description")
        if let from = attachment.madeDevice, let to = other.attachment.madeDevice {
            changes.append(change("mac", from.mac, to.mac) { $0?.description ?? "any" })
            changes.append(change("address", from.addresses, to.addresses, list))
            // A derived name that is now spelled out: the same device, another declaration.
            if from.device != to.device { changes.append("device named explicitly or not") }
        }
        return changes.compactMap(\.self).joined(separator: ", ")
    }
}
