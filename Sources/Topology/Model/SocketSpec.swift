/// A Unix socket over which frames travel one by one.
package struct SocketSpec: Hashable, Sendable {
    /// The socket's path; with VDE the switch's directory, and the socket is `ctl` in it. Where
    /// datagrams are used, here Heddle receives.
    package var path: String
    package var `protocol`: SocketProtocol
    /// Without meaning for datagrams.
    package var mode: SocketMode
    /// `qemuDgram` only: where QEMU receives.
    package var peer: String?
    package var access: SocketAccess

    package init(
        path: String,
        protocol: SocketProtocol,
        mode: SocketMode = .server,
        peer: String? = nil,
        access: SocketAccess = SocketAccess()
    ) {
        self.path = path
        self.protocol = `protocol`
        self.mode = mode
        self.peer = peer
        self.access = access
    }

    /// The socket's file: of a VDE switch, in its directory.
    package var socketPath: String {
        self.protocol == .vde ? path + SocketPath.controlSuffix : path
    }
}
