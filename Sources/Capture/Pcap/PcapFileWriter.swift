import SystemPackage

/// Writes a classic pcap file with nanosecond stamps, for a port that records what it is sent.
///
/// The format is draft-ietf-opsawg-pcap, magic 0xA1B23C4D, little-endian, which every reader of the
/// last decade takes. Frames gather in a buffer of 64 KiB. When the disk is full the writer says so
/// and stays usable: a frame is taken whole or not at all, what could not be written is kept and
/// tried again first, and the buffer does not grow meanwhile. One thread at a time.
package struct PcapFileWriter: ~Copyable {
    /// Beyond this readers reject a file; longer frames are cut.
    package static let maximumFrameByteCount = PcapngWriter.maximumFrameByteCount

    private static let bufferByteCount = 65_536

    private let descriptor: FileDescriptor
    private let path: String
    /// Bytes accepted and not yet written.
    private var pending: [UInt8]
    /// Frames accepted so far, those still in the buffer included.
    package private(set) var frameCount: UInt64

    /// Creates or overwrites a file, readable by its owner alone since it holds others' traffic.
    ///
    /// - Parameter isBlocking: false for a pipe that must not hold its writer up; a full pipe is
    ///   then the error `resourceTemporarilyUnavailable`, and one that nobody reads is not opened.
    package init(path: String, isBlocking: Bool = true) throws(PcapFileError) {
        let opened: FileDescriptor
        do {
            opened = try FileDescriptor.open(
                FilePath(path), .writeOnly,
                options: isBlocking
                    ? [.create, .truncate, .closeOnExec]
                    : [.create, .truncate, .closeOnExec, .nonBlocking],
                permissions: [.ownerRead, .ownerWrite])
        } catch {
            let errno = Errno(of: error)
            guard errno != .noSuchAddressOrDevice else { throw .notRead(path: path) }
            throw .cannotOpen(path: path, errno)
        }
        var header: [UInt8] = []
        header.reserveCapacity(Self.bufferByteCount)
        header.appendLittleEndian(0xA1B2_3C4D as UInt32)  // nanosecond stamps
        header.appendLittleEndian(2 as UInt16)  // major version
        header.appendLittleEndian(4 as UInt16)  // minor version
        header.appendLittleEndian(0 as UInt64)  // reserved
        header.appendLittleEndian(UInt32(Self.maximumFrameByteCount))
        header.appendLittleEndian(UInt32(PcapngLinkType.ethernet.rawValue))
        do {
            try Self.write(&header, to: opened)
        } catch {
            try? opened.close()
            throw .cannotWrite(path: path, error)
        }
        descriptor = opened
        self.path = path
        pending = header  // empty now, with its capacity
        frameCount = 0
    }

    deinit {
        // Best effort: an owner who wants to know calls `flush` first.
        var rest = pending
        try? Self.write(&rest, to: descriptor)
        try? descriptor.close()
    }

    /// Takes one frame. On an error the frame was not taken.
    ///
    /// - Parameter timestampNanoseconds: since 1970-01-01 00:00 UTC; the format ends in 2106.
    package mutating func append(
        _ bytes: UnsafeRawBufferPointer, originalByteCount: UInt32, timestampNanoseconds: UInt64
    ) throws(PcapFileError) {
        let captured = bytes.prefix(Self.maximumFrameByteCount)
        if pending.count + 16 + captured.count > Self.bufferByteCount, !pending.isEmpty {
            try flush()
        }
        let (seconds, nanoseconds) = timestampNanoseconds.quotientAndRemainder(
            dividingBy: 1_000_000_000)
        pending.appendLittleEndian(UInt32(clamping: seconds))
        pending.appendLittleEndian(UInt32(nanoseconds))
        pending.appendLittleEndian(UInt32(captured.count))
        pending.appendLittleEndian(originalByteCount)
        pending.append(contentsOf: captured)
        frameCount += 1
    }

    /// Hands everything taken so far to the kernel. On an error what is left is kept, and the next
    /// `flush` goes on at the byte where this one stopped.
    package mutating func flush() throws(PcapFileError) {
        do {
            try Self.write(&pending, to: descriptor)
        } catch {
            throw .cannotWrite(path: path, error)
        }
    }

    private static func write(
        _ pending: inout [UInt8], to descriptor: FileDescriptor
    ) throws(Errno) {
        var written = 0
        defer { pending.removeFirst(written) }
        while written < pending.count {
            do {
                written += try pending.withUnsafeBytes { bytes in
                    try descriptor.write(UnsafeRawBufferPointer(rebasing: bytes[written...]))
                }
            } catch {
                throw Errno(of: error)
            }
        }
    }
}
