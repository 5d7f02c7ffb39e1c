import Wire

/// What an encapsulation adds to a packet: from the inner IP packet to the outer one.
///
/// The inner frame travels untagged and whole, with its Ethernet header of 14 bytes, behind the
/// outer IP header without options (20 bytes, RFC 791; 40 bytes, RFC 8200), and
///
///     VXLAN, Geneve   UDP 8 (RFC 768), header 8 (RFC 7348, section 5; RFC 8926, section 3.4,
///                     without options, of which we send none)
///     GRE, NVGRE      GRE 4 and key 4 (RFC 2784, RFC 2890; RFC 7637, section 3.2)
///
/// That is 50 or 70 bytes for the first two, 42 or 62 for the others.
package struct Overhead: Hashable, Sendable {
    package let byteCount: Int

    /// - Parameter underlay: an address of the underlay, for its version.
    package init(_ kind: OverlayKind, over underlay: IPAddress) {
        let ip = underlay.bitWidth == 32 ? 20 : 40
        let header =
            switch kind {
            case .vxlan, .geneve: 8 + 8
            case .gre, .nvgre: 4 + 4
            }
        byteCount = ip + header + 14
    }

    /// The largest inner IP packet that an underlay of that MTU carries in one piece: the largest
    /// MTU that a network may have. Zero when nothing fits.
    package func maximumPacketByteCount(underlayMTU: Int) -> Int {
        // A loopback device's MTU is one more than an IP header can say.
        max(0, min(underlayMTU, 0xFFFF) - byteCount)
    }
}
