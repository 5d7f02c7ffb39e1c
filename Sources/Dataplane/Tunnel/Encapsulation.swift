import Wire

/// How a frame is wrapped for the way to another host. Each kind's header is eight bytes as we
/// write it.
package enum Encapsulation: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// RFC 7348.
    case vxlan
    /// RFC 8926.
    case geneve
    /// RFC 2784 with the key of RFC 2890, which holds the VNI.
    case gre
    /// RFC 7637.
    case nvgre

    /// Bytes that ``write(vni:flow:to:)`` writes.
    static let headerByteCount = 8

    /// Writes a header.
    ///
    /// - Parameter flow: tells flows apart in the underlay where there is no source port to do so.
    @inline(__always)
    func write(vni: UInt32, flow: UInt8, to header: UnsafeMutableRawPointer) {
        switch self {
        case .vxlan: VXLANView.write(vni: vni, to: header)
        case .geneve: GeneveView.write(vni: vni, isControl: false, to: header)
        case .gre: GREView.write(key: vni, to: header)
        case .nvgre: GREView.write(virtualSubnetID: vni, flowID: flow, to: header)
        }
    }

    /// A header as a value, for who shows it.
    package func header(vni: UInt32, flow: UInt8 = 0) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Encapsulation.headerByteCount) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            write(vni: vni, flow: flow, to: UnsafeMutableRawPointer(base))
            count = Encapsulation.headerByteCount
        }
    }

    /// What a received datagram is found to be.
    enum Reading {
        /// A frame of that VNI, behind so many bytes of header.
        case frame(vni: UInt32, headerByteCount: Int)
        case drop(DropReason)
    }

    /// Reads the header that a datagram begins with.
    @inline(__always)
    func read(_ datagram: UnsafeRawBufferPointer) -> Reading {
        switch self {
        case .vxlan:
            guard let header = VXLANView(datagram.bytes) else { return .drop(.malformedTunnel) }
            return .frame(vni: header.vni, headerByteCount: VXLANView.byteCount)
        case .geneve:
            guard let header = GeneveView(datagram.bytes) else { return .drop(.malformedTunnel) }
            // RFC 8926 §3.5: such a packet MUST be dropped by an endpoint that does not know it.
            guard !header.hasUnknownCriticalOption else { return .drop(.criticalOption) }
            // A control message is for this end and never a tenant's (§3.4): probes have no VNI.
            guard header.protocolType == .ethernetBridging, !header.isControl || header.vni == 0
            else { return .drop(.malformedTunnel) }
            return .frame(vni: header.vni, headerByteCount: header.headerByteCount)
        case .gre, .nvgre:
            guard let header = GREView(datagram.bytes), header.verifyChecksum(),
                header.protocolType == .ethernetBridging, let key = header.key
            else { return .drop(.malformedTunnel) }
            return .frame(
                vni: self == .gre ? key : key >> 8, headerByteCount: header.headerByteCount)
        }
    }
}
