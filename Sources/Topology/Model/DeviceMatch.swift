/// Which devices a port's template takes: those for which all that is given holds.
package struct DeviceMatch: Hashable, Sendable {
    /// Every device that was not put into a group is in 0, so that is no choice.
    package static let groupRange: ClosedRange<UInt32> = 1...UInt32.max

    /// A pattern of the device's name or of one of its alternative names; see `Glob`.
    package var name: String?
    /// The device's group, as of `ip link set DEVICE group 7`.
    package var group: UInt32?
    /// A pattern of the device's alias; a device without one does not match.
    package var alias: String?

    package init(name: String? = nil, group: UInt32? = nil, alias: String? = nil) {
        self.name = name
        self.group = group
        self.alias = alias
    }

    /// Whether a device is taken. Nothing given takes nothing.
    package func matches(
        name: String, alternativeNames: [String] = [], alias: String?, group: UInt32
    ) -> Bool {
        if self.name == nil, self.group == nil, self.alias == nil { return false }
        if let wanted = self.group, wanted != group { return false }
        if let pattern = self.alias {
            guard let alias, !alias.isEmpty, Glob.matches(alias, pattern) else { return false }
        }
        if let pattern = self.name {
            return Glob.matches(name, pattern)
                || alternativeNames.contains { Glob.matches($0, pattern) }
        }
        return true
    }
}

extension DeviceMatch: CustomStringConvertible {
    /// `name vnet*, group 7`
    package var description: String {
        [name.map { "name \($0)" }, group.map { "group \($0)" }, alias.map { "alias \($0)" }]
            .compactMap(\.self).joined(separator: ", ")
    }
}
