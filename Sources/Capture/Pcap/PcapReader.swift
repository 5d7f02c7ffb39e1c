import CPcap
import SystemPackage

/// Reads the frames of a capture file, pcap or pcapng, for a port that replays it.
///
/// libpcap does the reading, so of pcapng only frames and stamps remain: interfaces, directions and
/// comments are lost, which a replay does not need. One thread at a time.
package struct PcapReader: ~Copyable, @unchecked Sendable {
    // @unchecked: the handle is owned by this value alone, which is never copied.
    private let handle: OpaquePointer
    private let path: String
    /// Frames read so far.
    package private(set) var frameCount: UInt64 = 0

    /// One frame's description.
    package struct Frame: Equatable, Sendable {
        /// Since 1970-01-01 00:00 UTC.
        package var timestampNanoseconds: UInt64
        /// The frame's length on the wire.
        package var originalByteCount: UInt32
        /// How many bytes of it the file holds.
        package var capturedByteCount: Int
        /// How many of those fitted the caller's buffer.
        package var byteCount: Int
    }

    /// Opens a file, which must hold Ethernet frames. `-` is a file of that name, not stdin.
    package init(path: String) throws(PcapFileError) {
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                FilePath(path), .readOnly, options: [.closeOnExec])
        } catch {
            throw .cannotOpen(path: path, Errno(of: error))
        }
        guard let file = fdopen(descriptor.rawValue, "rb") else {
            try? descriptor.close()
            throw .cannotOpen(path: path, .noMemory)  // its only reason for a fresh descriptor
        }
        var message = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        // libpcap owns the file once it returns a handle, and leaves it to us otherwise.
        guard
            let handle = pcap_fopen_offline_with_tstamp_precision(
                file, UInt32(PCAP_TSTAMP_PRECISION_NANO), &message)
        else {
            fclose(file)
            throw .notACapture(path: path, message: Self.text(message))
        }
        let linkType = pcap_datalink(handle)
        guard linkType == DLT_EN10MB else {
            let name = pcap_datalink_val_to_name(linkType).map { String(cString: $0) }
            pcap_close(handle)
            throw .wrongLinkType(path: path, name: name ?? "\(linkType)")
        }
        self.handle = handle
        self.path = path
    }

    deinit {
        pcap_close(handle)
    }

    /// Copies the next frame's bytes into `buffer`, as many as it holds; nil at the end of the file.
    package mutating func next(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(PcapFileError) -> Frame? {
        var header: UnsafeMutablePointer<pcap_pkthdr>?
        var bytes: UnsafePointer<UInt8>?
        let result = pcap_next_ex(handle, &header, &bytes)
        if result == PCAP_ERROR_BREAK { return nil }
        guard result == 1, let header = header?.pointee, let bytes else {
            throw .damaged(
                path: path, frames: frameCount, message: String(cString: pcap_geterr(handle)))
        }
        frameCount += 1
        let captured = Int(header.caplen)
        let copied = min(captured, buffer.count)
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: copied))
        // Opened with nanosecond precision, tv_usec holds nanoseconds. A damaged file can hold any
        // number there, so the arithmetic must not trap.
        let nanoseconds = UInt64(truncatingIfNeeded: header.ts.tv_usec)
        // libpcap (1.10) takes pcap's unsigned 32-bit seconds for signed: from 2038 on they come
        // out negative.
        let seconds =
            header.ts.tv_sec < 0
            ? UInt64(UInt32(truncatingIfNeeded: header.ts.tv_sec)) : UInt64(header.ts.tv_sec)
        return Frame(
            timestampNanoseconds: seconds &* 1_000_000_000 &+ nanoseconds,
            originalByteCount: header.len, capturedByteCount: captured, byteCount: copied)
    }

    private static func text(_ message: [CChar]) -> String {
        let octets = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: octets, as: UTF8.self)
    }
}
