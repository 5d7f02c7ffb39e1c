import Glibc

/// The file of a socket that was bound to a path: removed only while it is still that one, since
/// somebody may have put another in its place.
struct SocketFile {
    let path: String
    private let device: dev_t
    private let inode: ino_t

    /// - Returns: nil when there is none at `path`.
    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        self.path = path
        device = status.st_dev
        inode = status.st_ino
    }

    func remove() {
        guard let current = SocketFile(path), current.device == device, current.inode == inode
        else { return }
        unlink(path)
    }
}
