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
    case list([CheckedElement])
    case section(Section)
    case named([NamedSection])
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
        case .text(let limit): "text on one line, up to \(limit) bytes"
        case .list: "a list, such as [a, b]"
        case .mapping(let mapping): "a mapping with \(keyList(mapping.supportedKeys.map(\.name)))"
        case .named(let mapping, limit: _): "a mapping from names to \(mapping.title)s"
        }
    }

    /// The value, or why there is none: a clause such as "must be true or false, not 'yes'".
    func check(_ text: String, isPlain: Bool) -> Result<CheckedValue, ScalarProblem> {
        let found = isPlain ? quoted(text) : "the text \"\(quoted(text).dropFirst().dropLast())\""
        let refusal = ScalarProblem("must be \(expectation), not \(found)")
        switch self {
        case .integer(let range):
            guard isPlain, let number = Self.decimal(text), range.contains(number) else {
                return .failure(refusal)
            }
            return .success(.integer(number))
        case .seconds(let range):
            let digits = text.hasSuffix("s") ? String(text.dropLast()) : text
            guard let number = Self.decimal(digits), range.contains(number) else {
                return .failure(refusal)
            }
            return .success(.integer(number))
        case .boolean:
            guard isPlain, text == "true" || text == "false" else { return .failure(refusal) }
            return .success(.boolean(text == "true"))
        case .vlan:
            guard isPlain, let number = Self.decimal(text) else { return .failure(refusal) }
            return Self.vlan(number).map { .vlan($0) }
        case .name:
            return Name.isValid(text) ? .success(.text(text)) : .failure(refusal)
        case .network:
            if isPlain, let number = Self.decimal(text) {
                return Self.vlan(number).map { .network(.vlan($0)) }
            }
            return Name.isValid(text) ? .success(.network(.name(text))) : .failure(refusal)
        case .deviceName:
            if DeviceName.reserved.contains(text) {
                return .failure(
                    ScalarProblem("cannot be \(quoted(text)), which every namespace already uses"))
            }
            return DeviceName.isValid(text) ? .success(.text(text)) : .failure(refusal)
        case .mac:
            guard let mac = MACAddress(text) else { return .failure(refusal) }
            guard !mac.isMulticast, !mac.isZero else {
                return .failure(
                    ScalarProblem(
                        "must be the address of one station, and \(mac) is "
                            + (mac.isZero ? "all zeros" : "a group address")))
            }
            return .success(.mac(mac))
        case .interfaceAddress:
            guard let address = InterfaceAddress(text) else { return .failure(refusal) }
            guard !address.address.isMulticast, address.address.octets.contains(where: { $0 != 0 })
            else {
                return .failure(
                    ScalarProblem("must be the address of one host, and \(address.address) is not"))
            }
            return .success(.address(address))
        case .text(let limit):
            guard !text.isEmpty, text.utf8.count <= limit,
                !text.unicodeScalars.contains(where: Self.breaksLine)
            else { return .failure(refusal) }
            return .success(.text(text))
        case .list, .mapping, .named:
            return .failure(refusal)
        }
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
