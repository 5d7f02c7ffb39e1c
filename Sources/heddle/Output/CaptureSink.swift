import ControlAPI
import Glibc

/// Where a capture is written: standard output, a file of its own, or several files of limited size.
///
/// A file of several begins as the first one did, with the section and all interfaces so far, so that
/// each can be opened alone. Names are those of the one file with a number before their extension.
final class CaptureSink {
    private let path: String
    private var descriptor: Int32
    private let limit: Int?
    private let count: Int?
    /// What every further file begins with: blocks that are no frames.
    private var preamble: [UInt8] = []
    private var number = 0
    private var byteCount = 0
    /// Bytes of a file at which nothing but its beginning is in it.
    private var preambleByteCount = 0

    /// - Parameters:
    ///   - path: `-` for standard output.
    ///   - limit: bytes of a file, beyond which the next is begun.
    ///   - count: files that are kept.
    init(path: String, limit: Int? = nil, count: Int? = nil) throws {
        self.path = path == "-" ? "standard output" : path
        self.limit = limit
        self.count = count
        descriptor = STDOUT_FILENO
        if path != "-" { descriptor = try CaptureSink.open(limit == nil ? path : name(of: 1)) }
        if limit != nil { number = 1 }
    }

    deinit {
        if descriptor != STDOUT_FILENO { close(descriptor) }
    }

    private static func open(_ path: String) throws -> Int32 {
        // Captures hold other people's traffic: for the owner's eyes.
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure("\(path): cannot be written: \(errorText(errno))")
        }
        return descriptor
    }

    private func name(of number: Int) -> String {
        let digits = String(number)
        let padded = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        guard let dot = path[slash...].lastIndex(of: "."), dot > slash else {
            return "\(path)-\(padded)"
        }
        return "\(path[..<dot])-\(padded)\(path[dot...])"
    }

    /// Writes whole blocks; false if the reader of a pipe has gone.
    func write(_ bytes: [UInt8]) throws -> Bool {
        guard let limit else { return try writeAll(bytes[...]) }
        // What goes into one file is written in one piece.
        var piece = bytes[..<0]
        for block in PcapngBlocks(bytes) {
            if block.isFrame, byteCount > preambleByteCount,
                byteCount + block.bytes.count > limit
            {
                guard try writeAll(piece) else { return false }
                piece = block.bytes.prefix(0)
                try begin()
            }
            if !block.isFrame, !block.isStatistics { preamble += block.bytes }
            piece = bytes[piece.startIndex..<block.bytes.endIndex]
            byteCount += block.bytes.count
            if !block.isFrame, byteCount == preamble.count { preambleByteCount = byteCount }
        }
        return try writeAll(piece)
    }

    /// Goes on in the next file.
    private func begin() throws {
        number += 1
        close(descriptor)
        descriptor = STDOUT_FILENO
        descriptor = try CaptureSink.open(name(of: number))
        if let count, number > count { unlink(name(of: number - count)) }
        _ = try writeAll(preamble[...])
        byteCount = preamble.count
        preambleByteCount = byteCount
    }

    private func writeAll(_ bytes: ArraySlice<UInt8>) throws -> Bool {
        var written = bytes.startIndex
        while written < bytes.endIndex {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count >= 0 {
                written += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EPIPE: return false
            case EAGAIN:
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, 1000)
            case ENOSPC, EDQUOT:
                throw CommandFailure(
                    "\(path): the disk is full: the capture ends here; what was written is valid "
                        + "up to its last whole block")
            case let code:
                throw CommandFailure("\(path): cannot be written: \(errorText(code))")
            }
        }
        return true
    }
}

/// The blocks of a piece of pcapng that is made of whole ones, in the byte order of this machine.
struct PcapngBlocks: Sequence, IteratorProtocol {
    struct Block {
        var type: UInt32
        var bytes: ArraySlice<UInt8>

        /// An enhanced packet block.
        var isFrame: Bool { type == 6 }
        /// An interface statistics block.
        var isStatistics: Bool { type == 5 }
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func next() -> Block? {
        guard rest.count >= 12 else { return nil }
        let (type, length) = rest.withUnsafeBytes {
            (
                $0.loadUnaligned(as: UInt32.self),
                Int($0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            )
        }
        // What is no block is passed on as it is.
        let count = length >= 12 && length <= rest.count ? length : rest.count
        defer { rest = rest.dropFirst(count) }
        return Block(type: type, bytes: rest.prefix(count))
    }
}
