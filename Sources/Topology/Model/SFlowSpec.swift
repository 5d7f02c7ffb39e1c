import Wire

/// What the switch tells an sFlow collector: headers of sampled frames, and ports' counters.
package struct SFlowSpec: Hashable, Sendable {
    package static let samplingRange = 1...16_777_215
    package static let pollingSecondsRange = 1...3600
    /// A sample must fit a datagram beside its own fields.
    package static let headerRange = 14...1024

    package var collector: UDPEndpoint
    /// Of so many frames that a port receives one is sampled.
    package var sampling: Int
    /// Seconds from one counter sample of a port to the next.
    package var pollingSeconds: Int
    /// Bytes that are told of a sampled frame at most.
    package var headerByteCount: Int
    /// The switch's name for the collector; nil is the address by which it sends.
    package var agent: IPAddress?

    package init(
        collector: UDPEndpoint, sampling: Int = 1000, pollingSeconds: Int = 20,
        headerByteCount: Int = 128, agent: IPAddress? = nil
    ) {
        self.collector = collector
        self.sampling = sampling
        self.pollingSeconds = pollingSeconds
        self.headerByteCount = headerByteCount
        self.agent = agent
    }
}

/// Where datagrams go: `192.0.2.9:6343`, `[2001:db8::9]:6343`.
package struct UDPEndpoint: Hashable, Sendable, LosslessStringConvertible {
    package var address: IPAddress
    package var port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = ValueKind.decimal(String(text[text.index(after: colon)...])),
            let port = UInt16(exactly: port), port > 0
        else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard case .v6(let address)? = IPAddress(String(host.dropFirst().dropLast())) else {
                return nil
            }
            self.init(address: .v6(address), port: port)
        } else {
            guard case .v4(let address)? = IPAddress(String(host)) else { return nil }
            self.init(address: .v4(address), port: port)
        }
    }

    package var description: String {
        switch address {
        case .v4(let address): "\(address):\(port)"
        case .v6(let address): "[\(address)]:\(port)"
        }
    }
}
