import Capture
import Foundation
import TestSupport
import Wire

/// A capture as rows, written as pcapng.
struct CapturedRow {
    var interface: String
    var bytes: [UInt8]
    var comment: String?
    var direction: CaptureDirection?
    var original: Int?
    /// Seconds since the capture began.
    var time: Double

    init(
        _ interface: String, _ bytes: [UInt8], _ comment: String? = nil,
        direction: CaptureDirection? = .ingress, original: Int? = nil, time: Double = 0
    ) {
        self.interface = interface
        self.bytes = bytes
        self.comment = comment
        self.direction = direction
        self.original = original
        self.time = time
    }

    static func file(_ rows: [CapturedRow]) -> [UInt8] {
        var names: [String] = []
        for row in rows where !names.contains(row.interface) { names.append(row.interface) }
        var file: [UInt8] = []
        PcapngWriter.append(PcapngSection(), to: &file)
        for name in names { PcapngWriter.append(PcapngInterface(name: name), to: &file) }
        for row in rows {
            row.bytes.withUnsafeBytes {
                PcapngWriter.append(
                    PcapngPacket(
                        interfaceID: UInt32(names.firstIndex(of: row.interface) ?? 0),
                        timestampNanoseconds: 1_700_000_000_000_000_000
                            + UInt64(row.time * 1e9),
                        originalByteCount: UInt32(row.original ?? row.bytes.count),
                        remarks: PcapngRemarks(direction: row.direction, comment: row.comment)),
                    bytes: $0, to: &file)
            }
        }
        return file
    }
}

/// 02:00:00:00:00:NN.
func station(_ number: UInt64) -> MACAddress { MACAddress(rawValue: 0x0200_0000_0000 | number) }

/// A frame of the least length; a tag of VLAN `vlan`.
func plainFrame(_ destination: MACAddress, _ source: MACAddress, vlan: UInt16? = nil) -> [UInt8] {
    var builder = FrameBuilder(from: source, to: destination)
    if let vlan { builder = builder.tagged(vlan) }
    return builder.frame(EtherType(rawValue: 0x88B5), [UInt8](repeating: 0, count: 46))
}
