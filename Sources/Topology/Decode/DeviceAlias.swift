import Wire

/// What a device's alias says about its place in the switch, so that
/// `ip link set vnet0 alias heddle:network=blue` attaches it without a file:
///
///     heddle:network=blue                       an access port
///     heddle:trunk=blue,green native=blue       a trunk; 'native' may be missing
///
/// Networks are given by name or VLAN ID, as in a file. An alias that begins differently is its
/// owner's and nobody else's. Pure; the cost is linear in the alias, and in the networks when it is
/// resolved.
package struct DeviceAlias: Hashable, Sendable {
    package static let prefix = "heddle:"

    /// Why an alias attaches nothing, as a clause to stand behind the device's name.
    package struct Problem: Error, Equatable, CustomStringConvertible {
        package let description: String

        init(_ description: String) {
            self.description = description
        }
    }

    /// What an alias means among the networks that there are.
    package struct Resolution: Hashable, Sendable {
        package var membership: Membership
        /// Networks made for VLAN IDs that none has, as a file makes them.
        package var madeNetworks: [NetworkSpec]
    }

    private enum Place: Hashable {
        case access(NetworkReference)
        case trunk([NetworkReference], native: NetworkReference?)
    }

    private let place: Place

    // MARK: Reading

    /// Nil for an alias that is not addressed to Heddle.
    package static func parse(_ alias: String) throws(Problem) -> DeviceAlias? {
        guard alias.hasPrefix(prefix) else { return nil }
        var values: [String: String] = [:]
        for field in alias.dropFirst(prefix.count).split(separator: " ") {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw Problem("\(quoted(String(field))) has no '='; \(form)")
            }
            let key = String(parts[0])
            guard keys.contains(key) else {
                let near = nearestWord(to: key, among: keys).map { " (did you mean '\($0)'?)" }
                throw Problem("unknown key \(quoted(key))\(near ?? "; \(form)")")
            }
            guard values.updateValue(String(parts[1]), forKey: key) == nil else {
                throw Problem("'\(key)' is given twice")
            }
        }
        return DeviceAlias(place: try place(values))
    }

    private static let keys = ["network", "trunk", "native"]
    private static let form =
        "an alias is 'heddle:network=NAME' or 'heddle:trunk=NAME,NAME native=NAME'"

    private init(place: Place) {
        self.place = place
    }

    private static func place(_ values: [String: String]) throws(Problem) -> Place {
        let native = values["native"]
        switch (values["network"], values["trunk"]) {
        case (let network?, nil):
            guard native == nil else { throw Problem("'native' makes sense with 'trunk' only") }
            return .access(try reference(network, "network"))
        case (nil, let trunk?):
            var networks: [NetworkReference] = []
            for name in trunk.split(separator: ",", omittingEmptySubsequences: false) {
                networks.append(try reference(String(name), "trunk"))
            }
            guard let native else { return .trunk(networks, native: nil) }
            return .trunk(networks, native: try reference(native, "native"))
        case (_?, _?): throw Problem("'network' and 'trunk' exclude each other")
        case (nil, nil): throw Problem("it names no network: \(form)")
        }
    }

    private static func reference(
        _ text: String, _ key: String
    ) throws(Problem) -> NetworkReference {
        switch ValueKind.network.check(text, isPlain: true) {
        case .success(.network(let reference)): return reference
        case .failure(let problem): throw Problem("'\(key)' \(problem.clause)")
        case .success: preconditionFailure("a network is read as one")
        }
    }

    // MARK: Meaning

    /// - Parameter topology: of this host, with the VLAN IDs that networks have here.
    package func resolve(in topology: Topology) throws(Problem) -> Resolution {
        var names = Names(topology.networks)
        switch place {
        case .access(let reference):
            let network = try names.resolve(reference)
            return Resolution(membership: .access(network: network.name), madeNetworks: names.made)
        case .trunk(let references, let native):
            var members: [String] = []
            for reference in references {
                let network = try names.resolve(reference)
                guard !members.contains(network.name) else {
                    throw Problem("network '\(network.name)' is in 'trunk' twice")
                }
                guard network.vlan != nil else {
                    throw Problem(
                        "a trunk cannot carry network '\(network.name)', which has no VLAN ID: "
                            + "give it one with 'vlan:'")
                }
                members.append(network.name)
            }
            guard let native else {
                return Resolution(
                    membership: .trunk(networks: members, native: nil), madeNetworks: names.made)
            }
            let name = try names.resolve(native).name
            guard members.contains(name) else {
                throw Problem("native network '\(name)' is not one of the trunk's")
            }
            return Resolution(
                membership: .trunk(networks: members, native: name), madeNetworks: names.made)
        }
    }

    private struct Names {
        private let networks: [NetworkSpec]
        private(set) var made: [NetworkSpec] = []

        init(_ networks: [NetworkSpec]) {
            self.networks = networks
        }

        mutating func resolve(_ reference: NetworkReference) throws(Problem) -> NetworkSpec {
            switch reference {
            case .name(let name):
                if let network = networks.first(where: { $0.name == name }) { return network }
                let near = nearestWord(to: name, among: networks.lazy.map(\.name))
                    .map { " (did you mean '\($0)'?)" }
                throw Problem("network '\(name)' is not declared\(near ?? "")")
            case .vlan(let vlan):
                if let network = (networks + made).first(where: { $0.vlan == vlan }) {
                    return network
                }
                let network = NetworkSpec(madeFor: vlan)
                guard !networks.contains(where: { $0.name == network.name }) else {
                    throw Problem(
                        "VLAN \(vlan) has no network, and network '\(network.name)' is another "
                            + "one: give it 'vlan: \(vlan)'")
                }
                made.append(network)
                return network
            }
        }
    }
}
