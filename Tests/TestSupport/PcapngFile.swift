/// The content of a pcapng file, as `PcapngParser` read it.
package struct PcapngFile: Equatable, Sendable {
    package enum Direction: UInt32, Sendable {
        case unknown = 0
        case inbound = 1
        case outbound = 2
    }

    package struct Interface: Equatable, Sendable {
        package var linkType: UInt16
        package var snapLength: UInt32
        package var name: String?
        package var description: String?
        /// Six octets.
        package var macAddress: [UInt8]?
        package var speed: UInt64?
        /// Decimal digits of a second that a stamp counts.
        package var timestampResolution: UInt8
        /// The libpcap expression.
        package var filter: String?
    }

    package struct Packet: Equatable, Sendable {
        package var interfaceID: Int
        package var timestampNanoseconds: UInt64
        package var originalByteCount: Int
        package var bytes: [UInt8]
        package var direction: Direction
        package var comments: [String]
        package var packetID: UInt64?
        package var dropCount: UInt64?
        package var verdict: [UInt8]?
    }

    package struct Statistics: Equatable, Sendable {
        package var interfaceID: Int
        package var timestampNanoseconds: UInt64
        package var startNanoseconds: UInt64?
        package var endNanoseconds: UInt64?
        package var received: UInt64?
        package var dropped: UInt64?
        package var accepted: UInt64?
        package var delivered: UInt64?
    }

    package struct Name: Equatable, Sendable {
        package var address: [UInt8]
        package var names: [String]
    }

    package var hardware: String?
    package var operatingSystem: String?
    package var application: String?
    package var comment: String?
    package var interfaces: [Interface] = []
    package var packets: [Packet] = []
    package var statistics: [Statistics] = []
    package var names: [Name] = []

    /// The packets of the interface of this name.
    package func packets(at interfaceName: String) -> [Packet] {
        packets.filter { interfaces[$0.interfaceID].name == interfaceName }
    }
}
