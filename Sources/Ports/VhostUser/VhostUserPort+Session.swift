/// Service: the port meets its front-ends by a ``VhostEndpoint``, whose sessions drive it.
extension VhostUserPort: PeerPort {
    package var peerState: PeerState {
        session.withLock { ($0 as? VhostEndpoint)?.state }
            ?? .waiting("the port is not in service")
    }

    package func open(onChange: @escaping @Sendable (PeerState) -> Void) throws {
        let endpoint = VhostEndpoint(
            VhostEndpoint.Settings(
                path: path, isServer: isServer, queuePairs: queuePairs, access: access,
                mtu: mtu.map { UInt16(clamping: $0) }), loop: loop)
        session.withLock { $0 = endpoint }
        do {
            try endpoint.open(self, onChange: onChange)
        } catch {
            session.withLock { $0 = nil }
            throw error
        }
    }

    package func close() {
        let endpoint = session.withLock { session in
            defer { session = nil }
            return session as? VhostEndpoint
        }
        endpoint?.close()
    }
}
