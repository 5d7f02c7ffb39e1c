import Topology

/// Why a frame cannot be traced as asked.
package enum TraceError: Error, Equatable {
    case unknownPort(String, known: [String])
    case networkOfPort(port: String, network: String)
    case networkOfTunnel(tunnel: String, network: String?, networks: [String])
    case hostMissing(declared: [String])
    case unknownHost(String, declared: [String])
    case hostNotWanted(String)
    case notHex(String)
    case frameTooLong(byteCount: Int, limit: Int)
    case emptyFrame
}

extension TraceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownPort(let name, let known):
            if let near = nearestWord(to: name, among: known) {
                return "there is no port '\(name)' (did you mean '\(near)'?)"
            }
            return "there is no port '\(name)'; there are: \(listed(known))"
        case .networkOfPort(let port, let network):
            return "'\(port)' is a port, whose frames say their network themselves: leave "
                + "'\(network)' out, and use --vlan for a tag"
        case .networkOfTunnel(let tunnel, nil, let networks):
            return "tunnel '\(tunnel)' carries several networks: say with --network which of "
                + "them the frame is of: \(listed(networks))"
        case .networkOfTunnel(let tunnel, let network?, let networks):
            return "tunnel '\(tunnel)' does not carry network '\(network)'; it carries: "
                + listed(networks)
        case .hostMissing(let declared):
            return "the topology spans hosts (\(listed(declared))): say with --host which of "
                + "them the switch is"
        case .unknownHost(let name, let declared):
            let near = nearestWord(to: name, among: declared).map { " (did you mean '\($0)'?)" }
            return "the topology has no host '\(name)'"
                + (near ?? "; it has: \(listed(declared))")
        case .hostNotWanted(let name):
            return "the topology has no hosts: leave --host \(name) out"
        case .notHex(let piece):
            return "'\(piece)' is no hexadecimal byte: give the frame from its destination "
                + "address on, two digits a byte; spaces and colons are allowed"
        case .frameTooLong(let byteCount, let limit):
            return "the frame has \(byteCount) bytes; \(limit) are the most"
        case .emptyFrame: return "the frame has no bytes"
        }
    }

    private func listed(_ names: [String]) -> String {
        guard !names.isEmpty else { return "none" }
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? shown + " and \(names.count - 12) more" : shown
    }
}
