import Dataplane
import Wire

/// Frames that are made up to be traced.
package enum ProbeFrame {
    /// What stands in for a source where a port's address is not known: locally administered, and
    /// nobody's.
    package static let standInSource = MACAddress(rawValue: 0x0200_5E00_5301)

    /// The EtherType of local experiments (IEEE 802-2014, 9.2.4).
    private static let experimental: UInt16 = 0x88B5

    /// A frame of the least length, with nothing in it.
    package static func plain(
        to destination: MACAddress, from source: MACAddress, vlan: VLANID?
    ) -> [UInt8] {
        header(to: destination, from: source, vlan: vlan, type: experimental)
            + [UInt8](repeating: 0, count: 46)
    }

    /// The question who has an address (RFC 826); from 0.0.0.0, as a probe of RFC 5227, where the
    /// asker has none.
    package static func arpRequest(
        for target: IPv4Address, from source: MACAddress, _ sender: IPv4Address?, vlan: VLANID?
    ) -> [UInt8] {
        var frame = header(to: .broadcast, from: source, vlan: vlan, type: 0x0806)
        frame += [0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01]
        frame += octets(source)
        frame += sender?.octets ?? [0, 0, 0, 0]
        frame += octets(.zero)
        frame += target.octets
        return frame + [UInt8](repeating: 0, count: 18)
    }

    private static func header(
        to destination: MACAddress, from source: MACAddress, vlan: VLANID?, type: UInt16
    ) -> [UInt8] {
        var frame = octets(destination) + octets(source)
        if let vlan {
            frame += [0x81, 0x00, UInt8(vlan.rawValue >> 8), UInt8(vlan.rawValue & 0xFF)]
        }
        return frame + [UInt8(type >> 8), UInt8(type & 0xFF)]
    }

    private static func octets(_ address: MACAddress) -> [UInt8] {
        stride(from: 40, through: 0, by: -8).map {
            UInt8(truncatingIfNeeded: address.rawValue >> UInt64($0))
        }
    }

    /// Reads hexadecimal: two digits a byte, with spaces, colons, dots and dashes between bytes.
    package static func bytes(hex text: String) throws(TraceError) -> [UInt8] {
        var bytes: [UInt8] = []
        var pending: (value: UInt8, character: Character)?
        for character in text {
            guard let digit = character.hexDigitValue, character.isASCII else {
                let isSeparator = character.isWhitespace || ":.-".contains(character)
                if isSeparator, pending == nil { continue }
                throw .notHex(pending.map { "\($0.character)\(character)" } ?? "\(character)")
            }
            if let high = pending {
                bytes.append(high.value << 4 | UInt8(digit))
                pending = nil
            } else {
                pending = (UInt8(digit), character)
            }
        }
        if let pending { throw .notHex("\(pending.character)") }
        guard !bytes.isEmpty else { throw .emptyFrame }
        guard bytes.count <= SlotSize.maximumFrame else {
            throw .frameTooLong(byteCount: bytes.count, limit: SlotSize.maximumFrame)
        }
        return bytes
    }

    /// The form that ``bytes(hex:)`` reads.
    package static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
