import Foundation
import Glibc
import Topology

/// What an instance remembers on disk, so that it can find again what it made: after a crash, or
/// under another topology.
struct InstanceState: Codable, Equatable {
    static let currentVersion = 1

    var version = InstanceState.currentVersion
    /// Part of every mark; random, made once per state directory.
    var instance: String
    var namespaces: [NamespaceRecord] = []
    var devices: [DeviceRecord] = []
    /// A port's number stays with its name.
    var portNumbers: [String: UInt16] = [:]
    /// The topology applied last, for a start without a file.
    var topologyName: String?
    var topology: String?
    /// Which of that topology's hosts this was.
    var host: String?

    struct NamespaceRecord: Codable, Equatable {
        var name: String
        var identity: NetworkNamespace.Identity
    }

    struct DeviceRecord: Codable, Equatable {
        var port: String
        var device: String
        var mark: String
        /// Nil for the switch's own namespace.
        var namespace: String?
        var namespaceIdentity: NetworkNamespace.Identity?

        /// Whether this is the device of `port`.
        func isOf(_ port: LivePort) -> Bool {
            port.device?.name == device && port.spec.namespace == namespace
        }
    }
}

/// The state file of one instance: `state.json` in its directory, versioned, replaced atomically.
///
/// An unknown version is refused and left alone. Writing is: write beside, fsync, rename, fsync the
/// directory.
package struct StateStore: Sendable {
    let directory: String
    private var path: String { directory + "/state.json" }

    package enum Failure: Error, CustomStringConvertible {
        case directory(String, Int32)
        case unreadable(String, reason: String)
        case unknownVersion(String, Int)
        case unwritable(String, Int32)

        package var description: String {
            switch self {
            case .directory(let path, let code):
                "cannot make the state directory '\(path)': \(String(cString: strerror(code))); "
                    + "choose another with --state DIR"
            case .unreadable(let path, let reason):
                "the state file '\(path)' cannot be read (\(reason)); if what it records is gone "
                    + "anyway, remove the file and start again"
            case .unknownVersion(let path, let version):
                "the state file '\(path)' has version \(version), which this heddle does not know "
                    + "(it knows \(InstanceState.currentVersion)): use the newer heddle that wrote "
                    + "it, or another --state DIR"
            case .unwritable(let path, let code):
                "cannot write the state file '\(path)': \(String(cString: strerror(code)))"
            }
        }
    }

    /// Makes the directory if there is none.
    package init(directory: String) throws(Failure) {
        self.directory = directory
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw .directory(directory, errno == 0 ? EACCES : errno)
        }
    }

    /// What was saved last; a new state when nothing was.
    func load() throws(Failure) -> InstanceState {
        guard let data = FileManager.default.contents(atPath: path) else {
            if access(path, F_OK) == 0 {
                throw .unreadable(path, reason: String(cString: strerror(errno)))
            }
            return InstanceState(instance: StateStore.newInstanceName())
        }
        struct Version: Decodable { var version: Int }
        do {
            let version = try JSONDecoder().decode(Version.self, from: data).version
            guard version == InstanceState.currentVersion else {
                throw Failure.unknownVersion(path, version)
            }
            return try JSONDecoder().decode(InstanceState.self, from: data)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw .unreadable(path, reason: "it is not the JSON that heddle writes")
        }
    }

    func save(_ state: InstanceState) throws(Failure) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(state) else {
            preconditionFailure("the state is always encodable")
        }
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .unwritable(path, errno) }
        var written = 0
        let failed = data.withUnsafeBytes { bytes -> Bool in
            while written < bytes.count {
                let count = write(file, bytes.baseAddress! + written, bytes.count - written)
                if count < 0, errno != EINTR { return true }
                if count > 0 { written += count }
            }
            return fsync(file) != 0
        }
        let code = errno
        close(file)
        guard !failed else {
            unlink(temporary)
            throw .unwritable(path, code)
        }
        guard rename(temporary, path) == 0 else { throw .unwritable(path, errno) }
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private static func newInstanceName() -> String {
        String(UInt32.random(in: 0x10_0000...0xFF_FFFF), radix: 16)
    }
}
