import Glibc

/// The message by which a plug asks a VDE switch for a port, on the connection to the switch's `ctl`
/// socket. The switch answers with the address of the socket for that port's frames, a
/// `sockaddr_un`; a switch that refuses closes the connection.
///
///     0    magic        0xFEEDFACE             all in the machine's byte order
///     4    version      3
///     8    type         bits 0-7: 0; bits 8-31: the port wished for, 0 for any
///     12   address      sockaddr_un, 110 bytes: where the plug receives its frames
///     122  description  the rest, not terminated
///
/// Observed between Debian's vde_switch 2.3.2 and vde_plug 4.0.1.
struct VDERequest {
    static let magic: UInt32 = 0xFEED_FACE
    static let version: UInt32 = 3
    /// Without the description.
    static let headerByteCount = 12 + addressByteCount
    static let addressByteCount = MemoryLayout<sockaddr_un>.size
    /// What a plug sends at most.
    static let limit = headerByteCount + 128

    /// The port of the switch that is wished for; 0 for any.
    var port: UInt32
    var address: sockaddr_un
    var description: String

    enum Fault: Error, Equatable {
        case magic
        case version(UInt32)
        case type(UInt32)

        /// Behind "it".
        var clause: String {
            switch self {
            case .magic: "does not speak VDE's protocol"
            case .version(let version): "speaks version \(version) of VDE's protocol, not 3"
            case .type(let type): "made a request of kind \(type), which is unknown"
            }
        }
    }

    init(port: UInt32, address: sockaddr_un, description: String) {
        self.port = port
        self.address = address
        self.description = description
    }

    /// - Returns: nil while bytes are missing.
    init?(_ bytes: [UInt8]) throws(Fault) {
        func word(_ offset: Int) -> UInt32 {
            bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        }
        guard bytes.count >= 4 else { return nil }
        guard word(0) == Self.magic else { throw .magic }
        guard bytes.count >= 8 else { return nil }
        guard word(4) == Self.version else { throw .version(word(4)) }
        guard bytes.count >= Self.headerByteCount else { return nil }
        let type = word(8)
        guard type & 0xFF == 0 else { throw .type(type & 0xFF) }
        port = type >> 8
        address = bytes.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: 12, as: sockaddr_un.self)
        }
        description = String(
            decoding: bytes[Self.headerByteCount...].prefix { $0 >= 0x20 && $0 < 0x7F },
            as: UTF8.self)
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for word in [Self.magic, Self.version, port << 8] {
            withUnsafeBytes(of: word) { bytes += $0 }
        }
        withUnsafeBytes(of: address) { bytes += $0 }
        return bytes + Array(description.utf8.prefix(Self.limit - Self.headerByteCount))
    }
}
