import Wire

/// A network as a port names it.
enum NetworkReference: Hashable {
    case name(String)
    case vlan(VLANID)
}

/// A value that was checked against its kind.
enum CheckedValue {
    case integer(Int)
    case boolean(Bool)
    case text(String)
    case vlan(VLANID)
    case network(NetworkReference)
    case mac(MACAddress)
    case address(InterfaceAddress)
    case host(IPAddress)
    case endpoint(UDPEndpoint)
    case list([CheckedElement])
    case section(Section)
    case named([NamedSection])
    case pairs([CheckedPair])
}

/// A value of a mapping whose keys are names, with its place.
struct CheckedPair {
    let name: String
    let value: CheckedValue
    let keyLocation: SourceLocation
    let location: SourceLocation
}

/// An element of a list, with its place.
struct CheckedElement {
    let value: CheckedValue
    let location: SourceLocation
}

/// How scalars read, and what is said when they do not.
extension ValueKind {
    /// What the kind wants, as in "must be …".
    var expectation: String {
        switch self {
        case .integer(let range) where range.count == 1: "\(range.lowerBound)"
        case .integer(let range):
            "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .seconds(let range):
            "a number of seconds from \(range.lowerBound) to \(range.upperBound), such as 300s"
        case .boolean: "true or false"
        case .vlan: "a VLAN ID from 1 to 4094"
        case .name: "a name: up to 63 letters, digits, '.', '_' and '-', the first not a sign"
        case .network: "a network's name or a VLAN ID"
        case .deviceName:
            "a device name: up to 15 letters, digits, '.', '_' and '-', the first not a sign"
        case .mac: "a MAC address such as 02:00:00:00:00:01"
        case .interfaceAddress: "an address with its prefix length, such as 10.10.0.1/24"
        case .underlayAddress: "an IP address such as 192.0.2.1 or 2001:db8::1"
        case .udpEndpoint:
            "an address and a UDP port in quotes, such as \"192.0.2.9:6343\" or "
                + "\"[2001:db8::9]:6343\""
        case .choice(let words): keyList(words)
        case .glob(ofDeviceNames: true):
            "a pattern of device names, such as vnet*: letters, digits, '.', '_', '-', '*' for any "
                + "text and '?' for any character"
        case .glob(ofDeviceNames: false):
            "a pattern on one line, such as web-*, with '*' for any text and '?' for any character"
        case .socketPath:
            "an absolute path of at most \(SocketPath.byteLimit) bytes, such as "
                + "/run/heddle/web-1.sock"
        case .account: "the name or the number of a user or a group"
        case .permissions: "octal digits in quotes, such as \"0660\""
        case .text(let limit): "text on one line, up to \(limit) bytes"
        case .list: "a list, such as [a, b]"
        case .mapping(let mapping): "a mapping with \(keyList(mapping.keys.map(\.name)))"
        case .named(let mapping, limit: _): "a mapping from names to \(mapping.title)s"
        case .byNetwork: "a mapping from networks to VLAN IDs, such as {blue: 20}"
        }
    }

    /// The value, or why there is none: a clause such as "must be true or false, not 'yes'".
    func check(_ text: String, isPlain: Bool) -> Result<CheckedValue, ScalarProblem> {
        // Made only for a value that is wrong: it costs more than the check.
        func refused() -> ScalarProblem {
            let found =
                isPlain ? quoted(text) : "the text \"\(quoted(text).dropFirst().dropLast())\""
            return ScalarProblem("must be \(expectation), not \(found)")
        }
        switch self {
        case .integer(let range):
            guard isPlain, let number = Self.decimal(text), range.contains(number) else {
                return .failure(refused())
            }
            return .success(.integer(number))
        case .seconds(let range):
            let digits = text.hasSuffix("s") ? String(text.dropLast()) : text
            guard let number = Self.decimal(digits), range.contains(number) else {
                return .failure(refused())
            }
            return .success(.integer(number))
        case .boolean:
            guard isPlain, text == "true" || text == "false" else { return .failure(refused()) }
            return .success(.boolean(text == "true"))
        case .vlan:
            guard isPlain, let number = Self.decimal(text) else { return .failure(refused()) }
            return Self.vlan(number).map { .vlan($0) }
        case .name:
            return Name.isValid(text) ? .success(.text(text)) : .failure(refused())
        case .network:
            if isPlain, let number = Self.decimal(text) {
                return Self.vlan(number).map { .network(.vlan($0)) }
            }
            return Name.isValid(text) ? .success(.network(.name(text))) : .failure(refused())
        case .deviceName:
            if DeviceName.reserved.contains(text) {
                return .failure(
                    ScalarProblem("cannot be \(quoted(text)), which every namespace already uses"))
            }
            guard DeviceName.isValid(text) else {
                let isPattern = text.utf8.contains(where: Glob.isSign)
                return .failure(
                    ScalarProblem(
                        refused().clause
                            + (isPattern ? ": a pattern is given by 'device: {match: …}'" : "")))
            }
            return .success(.text(text))
        case .mac:
            guard let mac = MACAddress(text) else { return .failure(refused()) }
            guard !mac.isMulticast, !mac.isZero else {
                return .failure(
                    ScalarProblem(
                        "must be the address of one station, and \(mac) is "
                            + (mac.isZero ? "all zeros" : "a group address")))
            }
            return .success(.mac(mac))
        case .interfaceAddress:
            guard let address = InterfaceAddress(text) else { return .failure(refused()) }
            guard !address.address.isMulticast, address.address.octets.contains(where: { $0 != 0 })
            else {
                return .failure(
                    ScalarProblem("must be the address of one host, and \(address.address) is not"))
            }
            return .success(.address(address))
        case .underlayAddress:
            guard let address = IPAddress(text) else { return .failure(refused()) }
            if let reason = Self.unreachable(address) {
                return .failure(
                    ScalarProblem(
                        "must be an address by which other hosts reach this one, and \(address) "
                            + reason))
            }
            return .success(.host(address))
        case .udpEndpoint:
            guard let endpoint = UDPEndpoint(text) else { return .failure(refused()) }
            guard endpoint.address.octets.contains(where: { $0 != 0 }) else {
                return .failure(
                    ScalarProblem(
                        "must be the address of a collector, and \(endpoint.address) is none"))
            }
            return .success(.endpoint(endpoint))
        case .choice(let words):
            guard words.contains(text) else {
                let near = nearestWord(to: text, among: words).map { " (did you mean '\($0)'?)" }
                return .failure(ScalarProblem(refused().clause + (near ?? "")))
            }
            return .success(.text(text))
        case .glob(let ofDeviceNames): return Self.glob(text, ofDeviceNames, refused)
        case .socketPath:
            guard SocketPath.isValid(text) else {
                return .failure(ScalarProblem(refused().clause + Self.fault(ofPath: text)))
            }
            return .success(.text(text))
        case .account:
            guard !text.isEmpty, text.utf8.count <= 255,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ":") })
            else { return .failure(refused()) }
            return .success(.text(text))
        case .permissions:
            guard let bits = Self.permissions(text), !isPlain else {
                let hint =
                    isPlain && Self.permissions(text) != nil
                    ? ": write \"\(text)\", which YAML cannot take for a number" : ""
                return .failure(ScalarProblem(refused().clause + hint))
            }
            return .success(.integer(bits))
        case .text(let limit):
            guard !text.isEmpty, text.utf8.count <= limit,
                !text.unicodeScalars.contains(where: Self.breaksLine)
            else { return .failure(refused()) }
            return .success(.text(text))
        case .list, .mapping, .named, .byNetwork:
            return .failure(refused())
        }
    }

    /// Why no other host can send to the address; nil when one can.
    private static func unreachable(_ address: IPAddress) -> String? {
        if address.isMulticast { return "is a group address" }
        switch address {
        case .v4(let v4):
            if v4.isUnspecified { return "is no address" }
            if v4.isLoopback { return "does not leave its host" }
            if v4.rawValue == .max { return "is everybody's" }
        case .v6(let v6):
            if v6.isUnspecified { return "is no address" }
            if v6.isLoopback { return "does not leave its host" }
            if v6.isLinkLocal { return "means another host on each link" }
            if v6.isIPv4Mapped { return "is an IPv4 address: write it as one" }
        }
        return nil
    }

    private static func glob(
        _ text: String, _ ofDeviceNames: Bool, _ refused: () -> ScalarProblem
    ) -> Result<CheckedValue, ScalarProblem> {
        // What other patterns know and these do not would else match nothing, without a word.
        if let sign = text.unicodeScalars.first(where: { "[]{}\\".unicodeScalars.contains($0) }) {
            return .failure(
                ScalarProblem(
                    "must have '*' for any text and '?' for any character: '\(sign)' means nothing "
                        + "in \(quoted(text))"))
        }
        let isName = text.utf8.allSatisfy { Glob.isSign($0) || Name.isLetter($0) }
        guard !text.isEmpty, text.utf8.count <= Glob.byteLimit, isName || !ofDeviceNames,
            !text.unicodeScalars.contains(where: Self.breaksLine)
        else { return .failure(refused()) }
        return .success(.text(text))
    }

    /// What is wrong with a socket's path, where it is not plain to see.
    private static func fault(ofPath text: String) -> String {
        if text.utf8.first == UInt8(ascii: "@") {
            return ": sockets without a file (Linux's abstract ones) are not supported"
        }
        let count = text.utf8.count
        return count > SocketPath.byteLimit ? ": it has \(count)" : ""
    }

    /// Three or four octal digits, at most 0777.
    private static func permissions(_ text: String) -> Int? {
        guard (3...4).contains(text.utf8.count), let bits = Int(text, radix: 8),
            (0...0o777).contains(bits), text.utf8.first != UInt8(ascii: "+")
        else { return nil }
        return bits
    }

    private static func breaksLine(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    /// Decimal digits only: YAML's octal, hexadecimal and grouped forms surprise more than they
    /// help.
    static func decimal(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }

    private static func vlan(_ number: Int) -> Result<VLANID, ScalarProblem> {
        if let vlan = VLANID(number) { return .success(vlan) }
        let reason =
            switch number {
            case 0: "VLAN 0 marks frames that have a priority and no VLAN"
            case 4095: "VLAN 4095 is reserved"
            default: "\(number) does not fit the tag's 12 bits"
            }
        return .failure(ScalarProblem("must be a VLAN ID from 1 to 4094: \(reason) (IEEE 802.1Q)"))
    }
}

/// What is wrong with a scalar, to be preceded by the key.
struct ScalarProblem: Error {
    let clause: String

    init(_ clause: String) {
        self.clause = clause
    }
}

/// `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`.
func keyList(_ keys: [String], joinedBy word: String = "or") -> String {
    let names = keys.map { "'\($0)'" }
    guard names.count > 1, let last = names.last else { return names.first ?? "no keys" }
    return names.dropLast().joined(separator: ", ") + " \(word) " + last
}
