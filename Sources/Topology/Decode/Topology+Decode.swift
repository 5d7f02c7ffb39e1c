import Foundation

extension Topology {
    /// Room for 250 bytes a port; a port in a namespace with an address takes a hundred.
    package static let byteLimit = 4 << 20

    /// Decodes and validates the contents of a file; `file` is what messages call it.
    package static func decode(
        _ bytes: [UInt8], file: String
    ) throws(TopologyError) -> Topology {
        guard bytes.count <= byteLimit else { throw tooLarge(file) }
        return try TopologyDecoder.decode(bytes, file: file)
    }

    /// As for bytes.
    package static func decode(_ text: String, file: String) throws(TopologyError) -> Topology {
        try decode(Array(text.utf8), file: file)
    }

    /// Reads, decodes and validates a file. Anything that can be read will do, a pipe as well.
    package static func load(path: String) throws(TopologyError) -> Topology {
        func failure(_ message: String) -> TopologyError {
            TopologyError(file: path, problems: [.init(location: nil, message: message)])
        }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw failure("there is no such file")
        }
        guard !isDirectory.boolValue else {
            throw failure("this is a directory: name the topology file in it")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw failure("the file cannot be opened: its permissions do not allow it")
        }
        defer { try? handle.close() }
        var bytes: [UInt8] = []
        do {
            // One byte past the limit tells too large from just fitting, whatever the size says.
            while bytes.count <= byteLimit,
                let chunk = try handle.read(upToCount: byteLimit + 1 - bytes.count),
                !chunk.isEmpty
            {
                bytes.append(contentsOf: chunk)
            }
        } catch {
            throw failure("the file cannot be read: \(error.localizedDescription)")
        }
        return try decode(bytes, file: path)
    }

    private static func tooLarge(_ file: String) -> TopologyError {
        TopologyError(
            file: file,
            problems: [
                .init(
                    location: nil,
                    message: "the file is larger than \(byteLimit >> 20) MiB, more than "
                        + "\(filePortLimit) ports can need")
            ])
    }
}
