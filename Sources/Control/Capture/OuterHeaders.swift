import Capture
import Dataplane
import Topology
import Wire

/// The headers of the underlay around the frames of tunnels, for captures that want to see them.
///
/// The kernel writes and removes these headers, and the switch never sees them: they are built anew
/// from what it does know, the two ends, the encapsulation and the network. What it does not know is
/// left plain: the source port is the first of the range, the TTL 64.
struct OuterHeaders {
    private struct Way {
        var encapsulation: Encapsulation
        var local: IPAddress
        var remote: IPAddress
        /// UDP destination; nil for GRE and NVGRE.
        var port: UInt16?
        var vnis: [UInt16: UInt32]
    }

    private let ways: [UInt16: Way]

    init(_ model: SwitchModel) {
        var ways: [UInt16: Way] = [:]
        for tunnel in model.tunnels {
            var vnis: [UInt16: UInt32] = [:]
            for name in tunnel.spec.networks {
                if let domain = model.domains[name], let vni = model.network(named: name)?.vni {
                    vnis[domain] = vni
                }
            }
            ways[tunnel.number] = Way(
                encapsulation: Encapsulation(tunnel.spec.kind), local: tunnel.spec.local,
                remote: tunnel.spec.remote, port: tunnel.spec.port, vnis: vnis)
        }
        self.ways = ways
    }

    /// The points with those of tunnels as what they now show: IP packets.
    func points(of points: [CapturePoint]) -> [CapturePoint] {
        points.map { point in
            guard let way = ways[point.portIndex] else { return point }
            var point = point
            point.linkType = .raw
            point.description =
                "packets between \(way.local) and \(way.remote), their outer headers rebuilt"
            return point
        }
    }

    /// The packet that carried a frame; nil for a frame that no tunnel carried.
    func wrap(
        _ record: FrameRecord, _ frame: UnsafeRawBufferPointer, isEgress: Bool
    ) -> [UInt8]? {
        guard let way = ways[record.port] else { return nil }
        let header = way.encapsulation.header(vni: way.vnis[record.domain] ?? 0)
        let transportByteCount = way.port == nil ? 0 : UDPView.headerByteCount
        let payloadByteCount = transportByteCount + header.count + frame.count
        let (source, destination) =
            isEgress ? (way.local, way.remote) : (way.remote, way.local)
        var packet = ip(
            from: source, to: destination, protocol: way.port == nil ? 47 : 17,
            payloadByteCount: payloadByteCount)
        if let port = way.port {
            append(OuterHeaders.sourcePort, to: &packet)
            append(port, to: &packet)
            append(UInt16(clamping: payloadByteCount), to: &packet)
            append(0, to: &packet)
        }
        packet += header
        packet.append(contentsOf: frame)
        if way.port != nil {
            completeChecksum(of: &packet, datagramByteCount: payloadByteCount)
        }
        return packet
    }

    private func completeChecksum(of packet: inout [UInt8], datagramByteCount: Int) {
        packet.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let datagram = base + (bytes.count - datagramByteCount)
            var sum: InternetChecksum =
                bytes[0] >> 4 == 4
                ? .pseudoHeader(ipv4: base, transportProtocol: .udp, byteCount: datagramByteCount)
                : .pseudoHeader(ipv6: base, transportProtocol: .udp, byteCount: datagramByteCount)
            sum.add(UnsafeRawPointer(datagram), byteCount: datagramByteCount)
            let value = sum.value
            datagram.storeBigEndian(value == 0 ? 0xFFFF : value, at: 6)
        }
    }

    private static let sourcePort: UInt16 = 49_152

    private func append(_ value: UInt16, to packet: inout [UInt8]) {
        packet.append(UInt8(value >> 8))
        packet.append(UInt8(value & 0xFF))
    }

    private func ip(
        from source: IPAddress, to destination: IPAddress, protocol number: UInt8,
        payloadByteCount: Int
    ) -> [UInt8] {
        var header: [UInt8]
        switch (source, destination) {
        case (.v4(let source), .v4(let destination)):
            header = [0x45, 0]
            append(UInt16(clamping: 20 + payloadByteCount), to: &header)
            header += [0, 0, 0x40, 0, 64, number, 0, 0]
            for address in [source, destination] {
                for shift in [24, 16, 8, 0] {
                    header.append(UInt8(truncatingIfNeeded: address.rawValue >> UInt32(shift)))
                }
            }
            let sum = header.withUnsafeBytes { bytes -> UInt16 in
                var sum = InternetChecksum()
                if let base = bytes.baseAddress { sum.add(base, byteCount: bytes.count) }
                return sum.value
            }
            header[10] = UInt8(sum >> 8)
            header[11] = UInt8(sum & 0xFF)
        case (.v6(let source), .v6(let destination)):
            header = [0x60, 0, 0, 0]
            append(UInt16(clamping: payloadByteCount), to: &header)
            header += [number, 64]
            for half in [source.high, source.low, destination.high, destination.low] {
                for shift in stride(from: 56, through: 0, by: -8) {
                    header.append(UInt8(truncatingIfNeeded: half >> UInt64(shift)))
                }
            }
        default: header = []
        }
        return header
    }
}
