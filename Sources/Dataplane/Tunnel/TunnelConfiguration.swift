/// The sockets of one encapsulation, and which worker reads them.
package struct UnderlayConfiguration: Sendable {
    /// Counts what came to the sockets and belongs to no tunnel.
    package var number: UInt16
    /// This host's address: a datagram that comes from it is our own.
    package var local: UnderlayAddress
    /// The worker that receives here, and sends for all of its tunnels.
    package var worker: Int
    package var underlay: any Underlay

    package init(number: UInt16, local: UnderlayAddress, worker: Int = 0, underlay: any Underlay) {
        self.number = number
        self.local = local
        self.worker = worker
        self.underlay = underlay
    }
}

/// The way to one other host: a member of every network that both hosts take part in.
package struct TunnelConfiguration: Sendable {
    package var number: UInt16
    /// The number of the underlay that it uses.
    package var underlay: UInt16
    package var encapsulation: Encapsulation
    package var remote: UnderlayAddress
    /// Bridge domains; each has a VNI.
    package var domains: [UInt16]
    /// A tunnel that is down is in no flood list, and what is sent to it is dropped.
    package var isUp: Bool
    /// The largest inner layer-3 packet, in bytes, that fits the path.
    package var maximumPacketByteCount: UInt32
    /// Whether the MSS that TCP peers announce to each other is lowered to what fits.
    package var clampsMSS: Bool

    package init(
        number: UInt16, underlay: UInt16, encapsulation: Encapsulation, remote: UnderlayAddress,
        domains: [UInt16], isUp: Bool = true, maximumPacketByteCount: UInt32 = 1450,
        clampsMSS: Bool = false
    ) {
        self.number = number
        self.underlay = underlay
        self.encapsulation = encapsulation
        self.remote = remote
        self.domains = domains
        self.isUp = isUp
        self.maximumPacketByteCount = maximumPacketByteCount
        self.clampsMSS = clampsMSS
    }
}
