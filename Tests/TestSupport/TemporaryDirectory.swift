import Foundation

/// A directory of its own for one test.
package struct TemporaryDirectory: Sendable {
    package let path: String

    /// Makes a directory, runs the body and removes the directory with all its content. A scope
    /// rather than a deinit: Swift ends a value at its last use, which may be before the last use
    /// of a path taken from it.
    package static func with<Result>(
        _ body: (TemporaryDirectory) throws -> Result
    ) throws -> Result {
        let path = NSTemporaryDirectory() + "/heddle-test-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(TemporaryDirectory(path: path))
    }

    /// The path of a file in the directory.
    package func path(_ name: String) -> String { path + "/" + name }
}
