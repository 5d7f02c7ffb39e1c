/// Where frames of a capture file were seen.
package struct CaptureInterface: Equatable, Sendable {
    /// Nil in a pcap file, which has no names.
    package var name: String?
    package var description: String?
    /// A LINKTYPE_… number.
    package var linkType: UInt16
    /// Bytes kept of a frame at most; 0 means all.
    package var snapLength: UInt32
    /// Bytes of frame check sequence at the end of each frame.
    var fcsByteCount = 0
    var clock = CaptureClock()

    package static let ethernet: UInt16 = 1
    package var isEthernet: Bool { linkType == CaptureInterface.ethernet }

    /// The link type in words, for those that are met most.
    package var linkTypeName: String {
        let names: [UInt16: String] = [
            0: "NULL (loopback)", 1: "EN10MB (Ethernet)", 101: "RAW (IP without Ethernet)",
            105: "IEEE802_11 (wireless)", 113: "LINUX_SLL (of the device 'any')",
            127: "IEEE802_11_RADIOTAP (wireless)", 189: "USB_LINUX", 220: "USB_LINUX_MMAPPED",
            228: "IPV4", 229: "IPV6", 276: "LINUX_SLL2 (of the device 'any')",
        ]
        return names[linkType] ?? "\(linkType)"
    }
}

/// What an interface's stamps count: units of a second from an epoch.
struct CaptureClock: Equatable, Sendable {
    /// As `if_tsresol` has it: a power of ten, or with the high bit set of two; of ten and six
    /// where nothing is said.
    var resolution: UInt8 = 6
    /// Seconds that are added to every stamp.
    var offset: Int64 = 0

    /// Nanoseconds since 1970; what does not fit is at the range's end.
    @inline(__always)
    func nanoseconds(_ units: UInt64) -> UInt64 {
        if resolution == 9, offset == 0 { return units }
        return slowNanoseconds(units)
    }

    private func slowNanoseconds(_ units: UInt64) -> UInt64 {
        let exponent = Int(resolution & 0x7F)
        var result: UInt64
        if resolution & 0x80 != 0 {
            let product = units.multipliedFullWidth(by: 1_000_000_000)
            switch exponent {
            case 0: result = product.high == 0 ? product.low : .max
            case 1..<64:
                result =
                    product.high >> UInt64(exponent) == 0
                    ? product.high << UInt64(64 - exponent) | product.low >> UInt64(exponent)
                    : .max
            default: result = exponent < 128 ? product.high >> UInt64(exponent - 64) : 0
            }
        } else if exponent <= 9 {
            let product = units.multipliedReportingOverflow(by: power(9 - exponent))
            result = product.overflow ? .max : product.partialValue
        } else {
            result = exponent - 9 <= 19 ? units / power(exponent - 9) : 0
        }
        guard offset != 0 else { return result }
        let shift = offset.magnitude.multipliedReportingOverflow(by: 1_000_000_000)
        let distance = shift.overflow ? .max : shift.partialValue
        if offset < 0 { return result > distance ? result - distance : 0 }
        let sum = result.addingReportingOverflow(distance)
        return sum.overflow ? .max : sum.partialValue
    }

    private func power(_ exponent: Int) -> UInt64 {
        (0..<exponent).reduce(1) { result, _ in result * 10 }
    }
}
