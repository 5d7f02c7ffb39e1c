import Wire

/// What is plugged into a port.
package enum Attachment: Hashable, Sendable {
    case tap(TAPSpec)
    case pcap(PcapSpec)
    case veth(VethSpec)
    case device(DeviceSpec)
    case vhostUser(VhostUserSpec)
    case socket(SocketSpec)

    /// The device that Heddle makes for it, if it makes one.
    package var madeDevice: (any MadeDeviceSpec)? {
        switch self {
        case .tap(let tap): tap
        case .veth(let veth): veth
        case .pcap, .device, .vhostUser, .socket: nil
        }
    }
}

/// A device that Heddle makes, and what to set on it. Its MTU is the networks'.
package protocol MadeDeviceSpec: Sendable {
    /// The network namespace of the device; nil is the switch's own.
    var namespace: String? { get }
    /// The device's name in the kernel; nil derives one from the port's name.
    var device: String? { get }
    /// Nil derives one from the switch and the port.
    var mac: MACAddress? { get }
    var addresses: [InterfaceAddress] { get }
}
