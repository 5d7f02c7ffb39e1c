import Glibc

/// Where the daemon's socket lies.
///
/// `--socket` wins, then `HEDDLE_SOCKET`. Without either, a client tries the system's socket and
/// then that of a sandbox of the same user, and takes the first that answers. A sandbox's socket
/// counts only in a directory of mode 0700 that belongs to the user (or root), because /tmp is
/// everybody's and a client hands over what it types.
package struct SocketPath: Sendable, Equatable {
    /// Candidates in the order in which a client tries them; never empty.
    package let candidates: [String]

    package static let system = "/run/heddle/heddle.sock"
    /// Longest path that fits `sockaddr_un` with its terminating zero.
    package static let maximumByteCount = 107

    package init(
        option: String?, environment: [String: String] = SocketPath.processEnvironment(),
        userID: UInt32 = getuid()
    ) {
        if let named = option ?? environment["HEDDLE_SOCKET"], !named.isEmpty {
            candidates = [named]
        } else {
            candidates =
                [Self.system]
                + Self.sandboxDirectories(environment: environment, userID: userID)
                .filter { Self.isPrivate($0, userID: userID) }
                .map { $0 + "/heddle.sock" }
        }
    }

    /// Path at which a sandbox of this user puts its socket. The caller makes the directory, with
    /// mode 0700, and checks it with `isPrivate` before it trusts one that exists.
    package static func sandbox(
        environment: [String: String] = SocketPath.processEnvironment(), userID: UInt32 = getuid()
    ) -> String {
        let directories = sandboxDirectories(environment: environment, userID: userID)
        let usable = directories.first { directory in
            let parent = String(
                directory.prefix(upTo: directory.lastIndex(of: "/") ?? directory.startIndex))
            return access(parent, W_OK | X_OK) == 0
        }
        return (usable ?? directories[directories.count - 1]) + "/heddle.sock"
    }

    /// Whether a directory is a real one (no symbolic link), closed to others, and the user's own.
    package static func isPrivate(_ directory: String, userID: UInt32 = getuid()) -> Bool {
        var status = stat()
        guard lstat(directory, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFDIR && status.st_mode & 0o077 == 0
            && (status.st_uid == userID || status.st_uid == 0)
    }

    package static func processEnvironment() -> [String: String] {
        var result: [String: String] = [:]
        for name in ["HEDDLE_SOCKET", "XDG_RUNTIME_DIR"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }

    private static func sandboxDirectories(
        environment: [String: String], userID: UInt32
    ) -> [String] {
        let runtime = environment["XDG_RUNTIME_DIR"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (runtime.map { [$0 + "/heddle"] } ?? []) + ["/tmp/heddle-\(userID)"]
    }
}
