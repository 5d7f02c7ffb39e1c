/// Paths of Unix sockets in a topology: absolute, since a daemon's working directory is nobody's
/// idea, and as long as the kernel takes them.
package enum SocketPath {
    /// `sun_path` has 108 bytes, one of which ends the text (unix(7)).
    package static let byteLimit = 107
    /// What is behind the directory of a VDE switch: its control socket.
    package static let controlSuffix = "/ctl"

    package static func isValid(_ path: String) -> Bool {
        path.utf8.first == UInt8(ascii: "/") && path.utf8.count <= byteLimit
            && !path.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    /// The path without what changes nothing, so that two ways to write it are told to be one:
    /// repeated and closing slashes, and `.`. Links and `..` are the file system's business.
    static func normalized(_ path: String) -> String {
        "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
