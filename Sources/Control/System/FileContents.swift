import SystemPackage

extension FileDescriptor {
    /// A small file's text, such as a line under /proc; a byte that is not UTF-8 is replaced.
    static func contents(ofFile path: String) throws(Errno) -> String {
        do {
            let file = try FileDescriptor.open(
                FilePath(path), .readOnly, options: .closeOnExec)
            return try file.closeAfter {
                var bytes = [UInt8](repeating: 0, count: 4096)
                var text: [UInt8] = []
                while true {
                    let byteCount = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
                    if byteCount == 0 { return String(decoding: text, as: UTF8.self) }
                    text += bytes[..<byteCount]
                }
            }
        } catch {
            // Every call above throws an Errno; swift-system does not say so in its signatures.
            throw error as? Errno ?? .ioError
        }
    }

    /// Writes a file under /proc that takes its text in one call.
    static func write(_ text: String, toFile path: String) throws(Errno) {
        do {
            let file = try FileDescriptor.open(
                FilePath(path), .writeOnly, options: .closeOnExec)
            try file.closeAfter { _ = try file.writeAll(text.utf8) }
        } catch {
            throw error as? Errno ?? .ioError
        }
    }
}
