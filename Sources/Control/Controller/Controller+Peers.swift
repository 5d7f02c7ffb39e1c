import Ports
import Topology

/// Ports whose other end is a process: put into service, and followed.
extension Controller {
    /// Makes a port's attachment and puts it into service: all or nothing.
    ///
    /// - Parameter recorded: whether the state records the device as ours.
    func makePort(
        _ spec: PortSpec, number: UInt16, origin: ObservedPort.Origin, mtu: Int,
        namespace: NetworkNamespace?, recorded: Bool
    ) throws -> LivePort {
        var port = try provisioning.attach(
            spec, number: number, origin: origin, mtu: mtu, namespace: namespace,
            recorded: recorded)
        guard let peer = port.peer else { return port }
        try peer.open { [weak self, weak peer] _ in
            guard let self, let peer else { return }
            // Not on the loop's thread: a change that is under way may be waiting for that.
            peerNews.async { self.hear(of: peer) }
        }
        port.condition = ObservedPort.Condition(peer.peerState)
        return port
    }

    /// Notes what has become of a peer; what was news when it was sent may be old by now.
    private func hear(of peer: any PeerPort) {
        changes.withLock { _ in
            guard !isStopped else { return }
            setCondition(ObservedPort.Condition(peer.peerState)) { $0.attachment === peer }
        }
    }
}

extension ObservedPort.Condition {
    init(_ state: PeerState) {
        switch state {
        case .connected: self = .up
        case .waiting(let why), .failed(let why): self = .down(reason: why)
        }
    }
}
