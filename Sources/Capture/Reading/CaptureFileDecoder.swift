/// Reads a capture file of either format, which it recognises by the first four bytes.
package struct CaptureFileDecoder {
    private enum Format {
        case unknown
        case pcapng(PcapngReader)
        case pcap(ClassicPcapReader)
    }

    private var format = Format.unknown

    package init() {}

    package var interfaces: [CaptureInterface] {
        switch format {
        case .unknown: []
        case .pcapng(let reader): reader.interfaces
        case .pcap(let reader): reader.interfaces
        }
    }

    /// Where the next step begins in the file.
    package var offset: UInt64 {
        switch format {
        case .unknown: 0
        case .pcapng(let reader): reader.offset
        case .pcap(let reader): reader.offset
        }
    }

    /// Looks at the file's first bytes, of which there are fewer than four only if there are no more.
    package mutating func recognise(
        _ bytes: UnsafeRawBufferPointer
    ) throws(CaptureFormatError) {
        guard !bytes.isEmpty else { throw CaptureFormatError(.empty, at: 0) }
        guard bytes.count >= 4 else { throw CaptureFormatError(.unrecognised, at: 0) }
        let magic = bytes.loadUnaligned(as: UInt32.self)
        if magic == 0x0A0D_0D0A {
            format = .pcapng(PcapngReader())
        } else if ClassicPcapReader.form(of: magic) != nil {
            format = .pcap(ClassicPcapReader())
        } else {
            throw CaptureFormatError(CaptureFileDecoder.problem(bytes), at: 0)
        }
    }

    private static func problem(_ bytes: UnsafeRawBufferPointer) -> CaptureFormatError.Problem {
        switch (bytes[0], bytes[1], bytes[2], bytes[3]) {
        case (0x1F, 0x8B, _, _): .compressed(by: "gzip", unpack: "gunzip")
        case (0x28, 0xB5, 0x2F, 0xFD): .compressed(by: "zstd", unpack: "unzstd")
        case (0xFD, 0x37, 0x7A, 0x58): .compressed(by: "xz", unpack: "unxz")
        case (0x04, 0x22, 0x4D, 0x18): .compressed(by: "lz4", unpack: "unlz4")
        case (0x42, 0x5A, 0x68, _): .compressed(by: "bzip2", unpack: "bunzip2")
        default: .unrecognised
        }
    }

    /// Reads the frames that are whole in `bytes`, in order, until `body` returns false or none is
    /// left: how many bytes that took, and how many the next step wants.
    ///
    /// - Parameter body: gets the frame and the interfaces known by now.
    @inline(__always)
    package mutating func read(
        _ bytes: UnsafeRawBufferPointer,
        _ body: (CapturedFrame, [CaptureInterface]) -> Bool
    ) throws(CaptureFormatError) -> (consumed: Int, needs: Int, isStopped: Bool) {
        switch format {
        case .unknown:
            try recognise(bytes)
            return try read(bytes, body)
        case .pcapng(var reader):
            // Taken out, so that its array is not shared while it grows.
            format = .unknown
            defer { format = .pcapng(reader) }
            return try reader.read(bytes, body)
        case .pcap(var reader):
            format = .unknown
            defer { format = .pcap(reader) }
            return try reader.read(bytes, body)
        }
    }
}
