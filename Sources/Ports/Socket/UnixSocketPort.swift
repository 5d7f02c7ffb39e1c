import Dataplane
import Glibc
import Synchronization

/// A port whose peer is a process at a unix socket: a VM's network card that needs no privilege, no
/// device and no shared memory.
///
/// Frames are complete, without a vnet header: none of these protocols can say that a checksum is
/// missing or that a frame is a super-frame, so ``offloads`` is empty.
///
///     worker ──▶ SocketLine ──▶ FrameChannel: StreamChannel, MessageChannel
///                    ▲ attach, detach
///     loop ────▶ SocketControl: ConnectionControl (PeerListener, PeerDialer; VDE), SocketRendezvous
package final class UnixSocketPort: PeerPort {
    package enum Kind: String, Sendable, CaseIterable {
        /// QEMU's `-netdev stream`: each frame behind its length.
        case qemuStream = "qemu-stream"
        /// QEMU's `-netdev dgram`: a frame is a datagram, without a connection.
        case qemuDatagram = "qemu-dgram"
        /// User-mode Linux's `bess`: a frame is a packet of a connection.
        case bess
        /// The protocol of VDE's switch: the path is its folder.
        case vde
    }

    private let line: SocketLine
    private let status: PeerStatus
    private let control: any SocketControl

    /// - Parameters:
    ///   - path: of the socket; for ``Kind/vde``, of the folder of the socket `ctl`.
    ///   - isServer: Heddle listens; otherwise it connects. ``Kind/qemuDatagram`` has neither.
    ///   - peer: for ``Kind/qemuDatagram``, where the peer receives; without it, the sender of the
    ///     first datagram is the peer.
    ///   - access: of the sockets that Heddle makes.
    package init(
        _ kind: Kind, path: String, isServer: Bool = true, peer: String? = nil,
        access: UnixEndpoint.Access = UnixEndpoint.Access(), loop: PeerLoop
    ) throws(PortError) {
        let channel: any FrameChannel =
            kind == .qemuStream ? StreamChannel() : MessageChannel(isConnection: kind == .bess)
        let line = try SocketLine(channel, loop: loop)
        let status = PeerStatus(.waiting("not in service"), loop: loop)
        self.line = line
        self.status = status
        let label = kind.rawValue
        func connection(
            _ socket: UnixEndpoint.Kind, _ path: String, folder: SocketFolder? = nil,
            negotiate: ConnectionControl.Negotiate? = nil
        ) -> ConnectionControl {
            let source: any PeerSource =
                isServer
                ? PeerListener(socket, path, access: access, folder: folder, loop: loop)
                : PeerDialer(socket, path, loop: loop)
            return ConnectionControl(
                label, line: line, status: status, source: source, negotiate: negotiate,
                loop: loop)
        }
        switch kind {
        case .qemuStream: control = connection(.stream, path)
        case .bess: control = connection(.sequencedPacket, path)
        case .vde:
            // The other end is told paths in it, and may have another working folder.
            let folder = UnixSocketPort.absolute(path)
            control = connection(
                .stream, folder + "/ctl",
                folder: isServer ? SocketFolder(folder, access: access) : nil
            ) { credentials in
                if isServer {
                    return VDEServer(folder: folder, access: access, credentials: credentials)
                }
                return VDEClient(folder: folder, access: access, credentials: credentials)
            }
        case .qemuDatagram:
            control = SocketRendezvous(
                label, path: path, peer: peer, access: access, line: line, status: status,
                loop: loop)
        }
    }

    deinit { close() }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }

    // MARK: PeerPort

    package var peerState: PeerState { status.current }

    /// - Throws: ``UnixEndpoint/Failure``.
    package func open(onChange: @escaping @Sendable (PeerState) -> Void) throws {
        status.observe(onChange)
        line.onLoss { [weak control] generation, loss in control?.lost(generation, loss) }
        do {
            try control.open()
        } catch {
            close()
            throw error
        }
    }

    package func close() {
        status.observe(nil)
        line.onLoss(nil)
        control.close()
    }

    /// Messages that were no frames: empty, longer than any frame, or cut off by the end.
    package var malformedCount: UInt64 { line.malformedCount.load(ordering: .relaxed) }

    // MARK: Port

    package var offloads: OffloadSet { [] }
    package var pollDescriptor: Int32? { line.pollDescriptor }

    package func receive(into burst: inout Burst) -> ReceiveOutcome {
        line.receive(into: &burst)
    }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        line.transmit(entries)
    }
}
