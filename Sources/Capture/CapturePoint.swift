/// A port under capture, as its interface block will name it.
package struct CapturePoint: Equatable, Sendable {
    /// The port's number in the switch, by which records refer to it.
    package var portIndex: UInt16
    package var name: String
    package var description: String?
    /// The peer's address if it is known: low 48 bits, the first octet most significant.
    package var macAddress: UInt64?
    /// In bits per second, if the port has one.
    package var speed: UInt64?
    package var linkType: PcapngLinkType

    package init(
        portIndex: UInt16, name: String, description: String? = nil, macAddress: UInt64? = nil,
        speed: UInt64? = nil, linkType: PcapngLinkType = .ethernet
    ) {
        self.portIndex = portIndex
        self.name = name
        self.description = description
        self.macAddress = macAddress
        self.speed = speed
        self.linkType = linkType
    }
}
