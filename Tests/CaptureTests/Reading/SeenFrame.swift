import Foundation
import TestSupport

@testable import Capture

/// A frame of a capture file, with what was lent copied.
struct SeenFrame: Equatable {
    var number: UInt64
    var interface: String?
    var direction: CaptureDirection?
    var stamp: UInt64?
    var original: UInt32
    var bytes: [UInt8]
    var comment: String?
    var packetID: UInt64?

    init(
        _ number: UInt64, _ interface: String?, _ direction: CaptureDirection?, _ stamp: UInt64?,
        _ bytes: [UInt8], original: UInt32? = nil, comment: String? = nil, packetID: UInt64? = nil
    ) {
        self.number = number
        self.interface = interface
        self.direction = direction
        self.stamp = stamp
        self.original = original ?? UInt32(bytes.count)
        self.bytes = bytes
        self.comment = comment
        self.packetID = packetID
    }

    init(_ frame: CapturedFrame, _ interfaces: [CaptureInterface]) {
        self.init(
            frame.number, interfaces[frame.interface].name, frame.direction,
            frame.timestampNanoseconds, [UInt8](frame.bytes), original: frame.originalByteCount,
            comment: frame.comment, packetID: frame.packetID)
    }
}

/// What a reader makes of a file: its frames, and where it was cut off.
struct SeenFile {
    var frames: [SeenFrame] = []
    var interfaces: [CaptureInterface] = []
    var cutOff: CaptureFileReader.CutOff?

    /// Reads a file of these bytes.
    init(of bytes: [UInt8]) throws {
        self = try TemporaryDirectory.with { directory in
            let path = directory.path("file")
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            return try SeenFile(at: path)
        }
    }

    init(at path: String) throws {
        let reader = try CaptureFileReader(path: path)
        var frames: [SeenFrame] = []
        try reader.forEachFrame { frame, interfaces in
            frames.append(SeenFrame(frame, interfaces))
            return true
        }
        self.frames = frames
        interfaces = reader.interfaces
        cutOff = reader.cutOff
    }
}
