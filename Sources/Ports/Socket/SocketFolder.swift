import Glibc
import Synchronization

/// The folder of a VDE switch: made if it is not there, and removed again only then.
final class SocketFolder: Sendable {
    let path: String
    private let access: UnixEndpoint.Access
    private let isOurs = Atomic<Bool>(false)

    init(_ path: String, access: UnixEndpoint.Access) {
        self.path = path
        self.access = access
    }

    func make() throws(UnixEndpoint.Failure) {
        guard mkdir(path, 0o700) == 0 else {
            switch errno {
            case EEXIST:
                var status = stat()
                guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                    throw .notAFolder(path)
                }
                return
            case ENOENT, ENOTDIR: throw .noFolder(path)
            default: throw .system(operation: "make the folder", path: path, code: errno)
            }
        }
        do throws(UnixEndpoint.Failure) {
            try UnixEndpoint.settle(path, access, mode: mode)
        } catch {
            rmdir(path)
            throw error
        }
        isOurs.store(true, ordering: .relaxed)
    }

    func remove() {
        if isOurs.exchange(false, ordering: .relaxed) { rmdir(path) }
    }

    /// Who may connect may also enter, and make a socket of its own in here: plugs do. New files get
    /// the folder's group.
    private var mode: mode_t {
        let permissions = mode_t(access.effectivePermissions)
        return 0o2700 | permissions & 0o066 | (permissions & 0o044) >> 2
    }
}
