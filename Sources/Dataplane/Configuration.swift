/// What the dataplane is told to do: plain values, from which a ``Snapshot`` is compiled.
///
/// Numbers, not names: domains count from 1, ports from 0 and stay with their port for its life.
/// Tunnels and underlays are numbered as ports are, and counted as ports are.
package struct DataplaneConfiguration: Sendable {
    package var domains: [DomainConfiguration]
    package var ports: [PortConfiguration]
    package var underlays: [UnderlayConfiguration]
    package var tunnels: [TunnelConfiguration]
    package var captures: [CaptureTap]
    /// Nil records nothing.
    package var recorder: FlightRecorder?

    package init(
        domains: [DomainConfiguration] = [], ports: [PortConfiguration] = [],
        underlays: [UnderlayConfiguration] = [], tunnels: [TunnelConfiguration] = [],
        captures: [CaptureTap] = [], recorder: FlightRecorder? = nil
    ) {
        self.domains = domains
        self.ports = ports
        self.underlays = underlays
        self.tunnels = tunnels
        self.captures = captures
        self.recorder = recorder
    }
}

/// A bridge domain: the inside of one network.
package struct DomainConfiguration: Sendable, Equatable {
    package var number: UInt16
    /// VLAN ID on trunks; 0 for a network that no trunk carries.
    package var vid: UInt16
    /// IP MTU: the largest layer-3 packet, in bytes, tags and Ethernet header not counted.
    package var mtu: UInt32
    /// What the network is called in tunnels; 0 for one that leaves by none.
    package var vni: UInt32

    package init(number: UInt16, vid: UInt16, mtu: UInt32 = 1500, vni: UInt32 = 0) {
        self.number = number
        self.vid = vid
        self.mtu = mtu
        self.vni = vni
    }
}

/// A port's place in the switch.
package struct PortConfiguration: Sendable {
    package enum Membership: Sendable, Equatable {
        /// Untagged in one domain.
        case access(domain: UInt16)
        /// Tagged in several domains, untagged in `native` if there is one.
        case trunk(domains: [UInt16], native: UInt16?)
    }

    package var number: UInt16
    package var membership: Membership
    package var isUp: Bool
    /// Isolated ports do not reach each other.
    package var isIsolated: Bool
    /// Addresses learned here stay here until they age.
    package var isSticky: Bool
    /// Whether somebody is at the other end. Floods leave out a port where nobody is; what is sent
    /// to it alone is dropped there.
    package var hasPeer: Bool
    /// The worker that receives from and transmits to the port.
    package var worker: Int
    package var port: any Port

    package init(
        number: UInt16, membership: Membership, isUp: Bool = true, isIsolated: Bool = false,
        isSticky: Bool = false, hasPeer: Bool = true, worker: Int = 0, port: any Port
    ) {
        self.number = number
        self.membership = membership
        self.isUp = isUp
        self.isIsolated = isIsolated
        self.isSticky = isSticky
        self.hasPeer = hasPeer
        self.worker = worker
        self.port = port
    }
}
