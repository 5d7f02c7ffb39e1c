/// The Section Header Block: one at the start of every capture.
package struct PcapngSection: Equatable, Sendable {
    /// The machine, such as `x86_64`.
    package var hardware: String?
    package var operatingSystem: String?
    /// The program that captured, with its version: `heddle 0.1.0`.
    package var application: String?
    package var comment: String?

    package init(
        hardware: String? = nil, operatingSystem: String? = nil, application: String? = nil,
        comment: String? = nil
    ) {
        self.hardware = hardware
        self.operatingSystem = operatingSystem
        self.application = application
        self.comment = comment
    }
}

/// What an interface's frames begin with (the registry of tcpdump.org/linktypes.html).
package enum PcapngLinkType: UInt16, Sendable {
    case ethernet = 1
    /// An IPv4 or an IPv6 header.
    case raw = 101
}

/// An Interface Description Block: nanosecond stamps. Its interface ID is its position
/// among the interface blocks of its section, from 0.
package struct PcapngInterface: Equatable, Sendable {
    package var name: String
    package var description: String?
    /// The address in the low 48 bits, the first octet most significant (`MACAddress.rawValue`).
    package var macAddress: UInt64?
    /// In bits per second.
    package var speed: UInt64?
    /// The most bytes kept of a frame; 0 means all.
    package var snapLength: UInt32
    /// The libpcap expression that chose the frames.
    package var filter: String?
    package var linkType: PcapngLinkType

    package init(
        name: String, description: String? = nil, macAddress: UInt64? = nil,
        speed: UInt64? = nil, snapLength: UInt32 = 0, filter: String? = nil,
        linkType: PcapngLinkType = .ethernet
    ) {
        self.name = name
        self.description = description
        self.macAddress = macAddress
        self.speed = speed
        self.snapLength = snapLength
        self.filter = filter
        self.linkType = linkType
    }
}

/// What an Enhanced Packet Block says about its frame, whose bytes are passed beside it.
package struct PcapngPacket: Sendable {
    package var interfaceID: UInt32
    /// Since 1970-01-01 00:00 UTC.
    package var timestampNanoseconds: UInt64
    /// The frame's length before it was cut to the snap length.
    package var originalByteCount: UInt32
    /// Blocks with one packet ID are one frame seen at several interfaces.
    package var packetID: UInt64?
    package var remarks: PcapngRemarks

    package init(
        interfaceID: UInt32, timestampNanoseconds: UInt64, originalByteCount: UInt32,
        packetID: UInt64? = nil, remarks: PcapngRemarks = .none
    ) {
        self.interfaceID = interfaceID
        self.timestampNanoseconds = timestampNanoseconds
        self.originalByteCount = originalByteCount
        self.packetID = packetID
        self.remarks = remarks
    }
}

/// What packet blocks say of many frames alike, encoded once for all of them.
package struct PcapngRemarks: Equatable, Sendable {
    /// Options of an Enhanced Packet Block, without the end of options.
    let options: [UInt8]

    package static let none = PcapngRemarks()

    /// - Parameter dropCount: frames lost at the interface between the previous block and this one.
    package init(
        direction: CaptureDirection? = nil, comment: String? = nil, dropCount: UInt64? = nil,
        verdict: PcapngVerdict? = nil
    ) {
        var room: [UInt8] = []
        var list = PcapngOptionList(taking: &room)
        list.append(1, text: comment)
        if let direction {
            // Direction is in the two lowest bits; the others claim nothing.
            list.append(2, byteCount: 4) { $0.appendLittleEndian(UInt32(direction.rawValue)) }
        }
        list.append(4, number: dropCount)
        list.append(7, verdict: verdict)
        options = list.unended()
    }
}

/// Who judged a frame, and how: the value of the `epb_verdict` option.
package enum PcapngVerdict: Equatable, Sendable {
    /// Opaque octets of the capturing hardware.
    case hardware([UInt8])
    /// A `TC_ACT_…` value of the kernel's traffic control.
    case trafficControl(UInt64)
    /// An `XDP_…` value.
    case xdp(UInt64)
}

/// An Interface Statistics Block. Counts are since the capture began.
package struct PcapngStatistics: Equatable, Sendable {
    package var interfaceID: UInt32
    /// When these counts were taken. This and the next two are in ns since 1970-01-01 00:00 UTC.
    package var timestampNanoseconds: UInt64
    package var startNanoseconds: UInt64?
    package var endNanoseconds: UInt64?
    /// Frames that passed the interface, captured or not.
    package var received: UInt64?
    /// Frames that the capture lost for want of room.
    package var dropped: UInt64?
    /// Frames that the filter accepted.
    package var accepted: UInt64?
    /// Frames that are in the capture.
    package var delivered: UInt64?

    package init(
        interfaceID: UInt32, timestampNanoseconds: UInt64, startNanoseconds: UInt64? = nil,
        endNanoseconds: UInt64? = nil, received: UInt64? = nil, dropped: UInt64? = nil,
        accepted: UInt64? = nil, delivered: UInt64? = nil
    ) {
        self.interfaceID = interfaceID
        self.timestampNanoseconds = timestampNanoseconds
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
        self.received = received
        self.dropped = dropped
        self.accepted = accepted
        self.delivered = delivered
    }
}

/// One record of a Name Resolution Block: an address and the names it goes by.
package struct PcapngName: Equatable, Sendable {
    package enum Address: Equatable, Sendable {
        /// The low 48 bits, the first octet most significant.
        case mac(UInt64)
        case ipv4(UInt32)
        case ipv6(high: UInt64, low: UInt64)
    }

    package var address: Address
    package var names: [String]

    package init(_ address: Address, names: [String]) {
        self.address = address
        self.names = names
    }
}
