import CLinux
import Glibc

/// Who is at the other end of a connected unix socket, as the kernel noted it when it was connected.
struct PeerCredentials {
    /// 0 for a process of another PID namespace.
    let process: Int32
    let user: UInt32

    init(process: Int32, user: UInt32) {
        self.process = process
        self.user = user
    }

    /// - Returns: nil for a socket that is not connected.
    init?(of socket: Int32) {
        var credentials = ucred()
        var byteCount = socklen_t(MemoryLayout<ucred>.size)
        guard getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &byteCount) == 0 else {
            return nil
        }
        self.init(process: credentials.pid, user: credentials.uid)
    }

    /// For a sentence.
    var name: String {
        process > 0 ? "pid \(process)" : "user \(user), in another PID namespace"
    }
}
