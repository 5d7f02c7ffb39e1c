/// A frame of the switch's own, to leave by one port.
package struct InjectedFrame: Sendable {
    /// Bytes that it may have at most.
    package static let maximumByteCount = 1514

    package var egress: UInt16
    package var domain: UInt16
    /// Untagged, complete.
    package var bytes: [UInt8]

    package init(egress: UInt16, domain: UInt16, bytes: [UInt8]) {
        self.egress = egress
        self.domain = domain
        self.bytes = bytes
    }
}
