import Wire

/// A TAP device that Heddle makes, and what to set on its kernel end.
package struct TAPSpec: MadeDeviceSpec, Hashable {
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
