/// Who may use a socket that Heddle makes; nil leaves it as the process makes it.
package struct SocketAccess: Hashable, Sendable {
    /// A user's name or number.
    package var user: String?
    /// A group's name or number.
    package var group: String?
    /// Permission bits, at most 0o777.
    package var permissions: UInt16?

    package init(user: String? = nil, group: String? = nil, permissions: UInt16? = nil) {
        self.user = user
        self.group = group
        self.permissions = permissions
    }

    /// The permissions as a file has them: `0660`.
    package var permissionDigits: String? {
        permissions.map { bits in
            let digits = String(bits, radix: 8)
            return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        }
    }
}
