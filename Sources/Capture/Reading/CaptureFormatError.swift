/// What is wrong with the bytes of a capture file, and at which of them.
package struct CaptureFormatError: Error, Equatable {
    package enum Problem: Equatable, Sendable {
        case empty
        /// Neither format's first four bytes.
        case unrecognised
        /// The first bytes of a compressed file, and what unpacks it.
        case compressed(by: String, unpack: String)
        case unknownByteOrder(UInt32)
        case unsupportedVersion(format: String, major: UInt16, minor: UInt16)
        /// Not a multiple of four, or too short for what such a block must hold.
        case impossibleBlockLength(type: UInt32, byteCount: Int)
        case blockTooLong(type: UInt32, byteCount: Int)
        case trailerDiffers(byteCount: Int, trailer: Int)
        case frameBeyondBlock(byteCount: Int, room: Int)
        case recordTooLong(byteCount: Int)
        case optionBeyondBlock(code: UInt16, byteCount: Int, room: Int)
        case optionLength(name: String, byteCount: Int, expected: Int)
        case unknownInterface(Int, known: Int)
        case tooManyInterfaces
        /// A frame of a link type that no switch port has.
        case notEthernet(interface: String, linkType: String)
    }

    /// Of the block or record that is wrong, from the file's start.
    package var offset: UInt64
    package var problem: Problem

    package init(_ problem: Problem, at offset: UInt64) {
        self.offset = offset
        self.problem = problem
    }
}

extension CaptureFormatError: CustomStringConvertible {
    package var description: String {
        "byte \(offset): \(problem)"
    }
}

extension CaptureFormatError.Problem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .empty: "the file is empty"
        case .unrecognised:
            "this is neither pcapng nor pcap: only those two are read"
        case .compressed(let program, let unpack):
            "the file is compressed by \(program): unpack it first, with '\(unpack)'"
        case .unknownByteOrder(let magic):
            "the section header has no byte order that is known (0x\(hex(magic)))"
        case .unsupportedVersion(let format, let major, let minor):
            "\(format) version \(major).\(minor) is not known"
        case .impossibleBlockLength(let type, let byteCount):
            "a block of type 0x\(hex(type)) cannot be \(byteCount) bytes long"
        case .blockTooLong(let type, let byteCount):
            "a block of type 0x\(hex(type)) claims \(byteCount) bytes, more than the "
                + "\(CaptureLimits.blockByteCount) that are read at most"
        case .trailerDiffers(let byteCount, let trailer):
            "a block says \(byteCount) bytes at its start and \(trailer) at its end"
        case .frameBeyondBlock(let byteCount, let room):
            "a frame claims \(byteCount) bytes where its block has room for \(room)"
        case .recordTooLong(let byteCount):
            "a frame claims \(byteCount) bytes, more than the \(CaptureLimits.frameByteCount) "
                + "that are read at most"
        case .optionBeyondBlock(let code, let byteCount, let room):
            "option \(code) claims \(byteCount) bytes where its block has room for \(room)"
        case .optionLength(let name, let byteCount, let expected):
            "option \(name) is \(byteCount) bytes long instead of \(expected)"
        case .unknownInterface(let number, let known):
            "a frame is of interface \(number), of which nothing was said: the section has "
                + "described \(known)"
        case .tooManyInterfaces:
            "the file describes more than \(CaptureLimits.interfaceCount) interfaces"
        case .notEthernet(let interface, let linkType):
            "interface \(interface) holds frames of link type \(linkType): only Ethernet frames "
                + "can be switched"
        }
    }

    private func hex(_ value: UInt32) -> String { String(value, radix: 16) }
}

/// What a capture file may ask for at most: it is untrusted, and its lengths may be lies.
package enum CaptureLimits {
    /// Of a pcapng block, as Wireshark has it; no memory is taken before the bytes are there.
    package static let blockByteCount = 16 << 20
    /// Of a frame in a pcap file.
    package static let frameByteCount = 16 << 20
    /// In all sections of a file together.
    package static let interfaceCount = 65_536
    /// Of an interface's name and of its description; the rest is cut off.
    package static let nameByteCount = 512
}
