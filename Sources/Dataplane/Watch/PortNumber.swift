/// Numbers that no port has.
package enum PortNumber {
    /// Where the FDB says that the switch's own addresses are.
    package static let switchItself = UInt16.max
}
