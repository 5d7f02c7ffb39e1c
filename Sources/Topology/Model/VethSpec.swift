import Wire

/// A veth pair that Heddle makes: one end is the port, the other lies in the namespace and has the
/// name, the addresses and the MAC address.
package struct VethSpec: MadeDeviceSpec, Hashable {
    package var namespace: String?
    package var device: String?
    package var mac: MACAddress?
    package var addresses: [InterfaceAddress]

    package init(
        namespace: String? = nil,
        device: String? = nil,
        mac: MACAddress? = nil,
        addresses: [InterfaceAddress] = []
    ) {
        self.namespace = namespace
        self.device = device
        self.mac = mac
        self.addresses = addresses
    }
}
