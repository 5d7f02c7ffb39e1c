import ControlAPI
import Foundation
import Topology

/// Requests about ports.
extension Controller {
    package func ports() -> PortList {
        let model = self.model.withLock { $0 }
        let topology = model.topology(includesAttached: true)
        return PortList(
            ports: model.ports.map { info($0, topology) }, problems: model.discoveryProblems)
    }

    package func port(named name: String) throws(ServiceError) -> PortInfo {
        let model = self.model.withLock { $0 }
        guard let port = model.port(named: name) else { throw unknownPort(name, model) }
        return info(port, model.topology(includesAttached: true))
    }

    package func attachPort(_ request: PortAttachRequest) throws(ServiceError) -> PortInfo {
        do {
            try attach { try specification(of: request, joining: $0) }
            return try port(named: request.name)
        } catch {
            throw serviceError(error)
        }
    }

    /// The definition is JSON, which is YAML: it is decoded as a part of the topology that it is to
    /// join, so that every rule of a file holds for it as well.
    private func specification(
        of request: PortAttachRequest, joining model: SwitchModel
    ) throws -> PortSpec {
        // A name that is given goes before one that a device brought along.
        if let port = model.port(named: request.name), port.origin != .discovered {
            throw ServiceError.conflict(
                "port '\(request.name)' exists; "
                    + (port.origin == .attached
                        ? "'heddle port detach \(request.name)' removes it"
                        : "the topology declares it: choose another name"))
        }
        var whole = model.topology(includesAttached: true).yaml
        whole.replace("\nports: {}\n", with: "\nports:\n")
        let name = String(decoding: try JSONEncoder().encode(request.name), as: UTF8.self)
        var definition = request.definition
        // A port is attached where the switch is.
        if let host = model.host, case .object(var fields) = definition, fields["host"] == nil {
            fields["host"] = .string(host.name)
            definition = .object(fields)
        }
        whole += "  \(name): \(try definition.text())\n"
        let spec: PortSpec
        do throws(TopologyError) {
            guard
                let found = try Topology.decode(whole, file: "port '\(request.name)'")
                    .port(named: request.name)
            else { throw TopologyError(file: request.name, problems: []) }
            spec = found
        } catch {
            throw ServiceError.badRequest(error.problems.map(\.message))
        }
        if let host = model.host, spec.host != host.name {
            throw ServiceError.badRequest([
                "port '\(request.name)': this switch is host '\(host.name)': attach it at host "
                    + "'\(spec.host ?? "")'"
            ])
        }
        return spec
    }

    package func detachPort(named name: String) throws(ServiceError) -> Acknowledgement {
        do {
            try detach(name) { model in
                guard let port = model.port(named: name) else { throw unknownPort(name, model) }
                guard port.origin == .attached else {
                    throw ServiceError.conflict(
                        "port '\(name)' is declared by the topology: remove it from the file and "
                            + "apply")
                }
            }
            return Acknowledgement(message: "port '\(name)' is detached")
        } catch {
            throw serviceError(error)
        }
    }

    private func info(_ port: LivePort, _ topology: Topology) -> PortInfo {
        let spec = port.spec
        var network: String?
        var trunk: [String] = []
        var native: String?
        var mode = PortMode.access
        switch spec.membership {
        case .access(let name): network = name
        case .trunk(let names, let name):
            mode = .trunk
            trunk = names
            native = name
        }
        var mac: String?
        var addresses: [String] = []
        if let made = spec.attachment.madeDevice {
            mac = "\(made.mac ?? provisioning.derivedAddress(of: spec))"
            addresses = made.addresses.map { "\($0)" }
        }
        var peer: String?
        if case .connected(let sentence) = port.peer?.peerState { peer = sentence }
        let (state, reason) = state(of: port)
        return PortInfo(
            name: spec.name, number: Int(port.number),
            origin: PortOrigin(rawValue: port.origin.rawValue) ?? .declared,
            kind: spec.attachment.kind, device: port.device?.name, namespace: spec.namespace,
            socket: spec.attachment.socketPath, peer: peer, template: port.template, mode: mode,
            network: network,
            trunk: trunk, native: native, state: state, reason: reason, mac: mac,
            addresses: addresses, mtu: topology.deviceMTU(of: spec), isolated: spec.isolated,
            offloads: port.attachment.offloads.names, counters: counters(port: port.number))
    }

    func state(of port: LivePort) -> (PortState, String?) {
        guard port.spec.up else { return (.down, "declared 'up: false'") }
        if let hold = port.hold {
            return (.down, "held down for \(hold.seconds) s: \(hold.reason)")
        }
        switch port.condition {
        case .up: return (.up, nil)
        case .down(let reason): return (.down, reason)
        case .missingDevice:
            return (
                .down,
                "device \(port.device?.name ?? "") is gone; apply the topology again to make it"
            )
        }
    }
}

extension Attachment {
    /// What listings call it.
    fileprivate var kind: String {
        switch self {
        case .tap: "tap"
        case .pcap: "pcap"
        case .veth: "veth"
        case .device: "device"
        case .vhostUser: "vhost-user"
        case .socket(let socket): socket.protocol.rawValue
        }
    }

    var socketPath: String? {
        switch self {
        case .vhostUser(let socket): socket.socket
        case .socket(let socket): socket.socketPath
        case .tap, .pcap, .veth, .device: nil
        }
    }
}
