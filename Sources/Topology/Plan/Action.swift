/// One step of a plan. The controller carries each out with an undo of its own.
package enum Action: Sendable, Equatable {
    case updateSwitch(from: SwitchSpec, to: SwitchSpec)
    case createNamespace(String)
    case addNetwork(NetworkSpec)
    /// The device goes; a following `attachPort` of the same name replaces it.
    case detachPort(PortSpec)
    /// The device stays: membership, policy, addresses, MAC address, administrative state.
    case updatePort(from: PortSpec, to: PortSpec)
    case attachPort(PortSpec)
    /// The port is as declared but its device has vanished: make it again.
    case repairPort(PortSpec)
    /// `ports` are those that stay in the network: their devices may need another MTU, trunks
    /// another tag.
    case updateNetwork(from: NetworkSpec, to: NetworkSpec, ports: [String])
    case removeNetwork(NetworkSpec)
    case updateTunnelSettings(from: TunnelSettings, to: TunnelSettings)
    case addTunnel(TunnelSpec)
    /// The same host and encapsulation: other networks, addresses or static addresses.
    case changeTunnel(from: TunnelSpec, to: TunnelSpec)
    /// By its name.
    case removeTunnel(String)
    /// A namespace that Heddle made and whose last port has left.
    case removeNamespace(String)
}
