// The pcapng writer: capture values in, blocks out, in memory.
//
// It encodes draft-ietf-opsawg-pcapng (the format called pcapng 1.0) in little-endian order, one
// section of unknown length, so that a stream may be cut off at any block boundary and still be
// read. Every function appends one whole block to the caller's buffer and nothing else: who
// writes the buffer where, and what a full disk or a slow reader means, is the caller's business.
//
//     block    type (4) | total length (4) | body … | total length (4)       all multiples of 4
//     option   code (2) | length (2) | value, zero-padded to 4               … opt_endofopt (0, 0)
//
// Nothing here fails. What a field cannot hold is cut: an option at 65,535 bytes, text between
// two characters, and NUL characters are left out because readers end a string there. A frame is
// cut at `maximumFrameByteCount`, beyond which readers reject a file; its original length stays.
//
// libpcap (1.10) cannot write this format; that is why the project has a writer of its own.

/// Appends pcapng blocks to a buffer.
package enum PcapngWriter {
    /// The largest captured length of an Ethernet frame that tcpdump and Wireshark accept.
    package static let maximumFrameByteCount = 262_144

    package static func append(_ section: PcapngSection, to output: inout [UInt8]) {
        appendBlock(type: 0x0A0D_0D0A, to: &output) { output in
            output.appendLittleEndian(0x1A2B_3C4D as UInt32)  // byte-order magic
            output.appendLittleEndian(1 as UInt16)  // major version
            output.appendLittleEndian(0 as UInt16)  // minor version
            output.appendLittleEndian(UInt64.max)  // section length: not known
            appendOptions(to: &output) { options in
                options.append(1, text: section.comment)
                options.append(2, text: section.hardware)
                options.append(3, text: section.operatingSystem)
                options.append(4, text: section.application)
            }
        }
    }

    package static func append(_ interface: PcapngInterface, to output: inout [UInt8]) {
        appendBlock(type: 1, to: &output) { output in
            output.appendLittleEndian(interface.linkType.rawValue)
            output.appendLittleEndian(0 as UInt16)  // reserved
            output.appendLittleEndian(interface.snapLength)
            appendOptions(to: &output) { options in
                options.append(2, text: interface.name)
                options.append(3, text: interface.description)
                if let address = interface.macAddress {
                    options.append(6, byteCount: 6) { $0.appendMACAddress(address) }
                }
                options.append(8, number: interface.speed)
                options.append(9, byteCount: 1) { $0.append(9) }  // if_tsresol: 10^-9 s
                // The first octet of if_filter is its kind; 0 is a libpcap expression.
                options.append(11, text: interface.filter, kind: 0)
            }
        }
    }

    /// Appends a frame. The interface's block must be in the section already.
    ///
    /// Of all blocks this one comes by the million, so that it is put together in few pieces: what is
    /// before the frame, the frame, the remarks as they are, and what is after them.
    package static func append(
        _ packet: PcapngPacket, bytes: UnsafeRawBufferPointer, to output: inout [UInt8]
    ) {
        let captured = UnsafeRawBufferPointer(
            start: bytes.baseAddress, count: min(bytes.count, maximumFrameByteCount))
        let padding = -captured.count & 3
        var optionByteCount = packet.remarks.options.count + (packet.packetID == nil ? 0 : 12)
        if optionByteCount > 0 { optionByteCount += 4 }  // opt_endofopt
        let total = UInt32(32 + captured.count + padding + optionByteCount)
        let time = packet.timestampNanoseconds
        output.append(words: [
            6, total, packet.interfaceID, UInt32(truncatingIfNeeded: time >> 32),
            UInt32(truncatingIfNeeded: time), UInt32(captured.count), packet.originalByteCount,
        ])
        output.append(contentsOf: captured)
        output.padToFour(after: captured.count)
        output.append(contentsOf: packet.remarks.options)
        if let number = packet.packetID {
            output.append(words: [
                8 << 16 | 5, UInt32(truncatingIfNeeded: number),  // epb_packetid, of 8 bytes
                UInt32(truncatingIfNeeded: number >> 32), 0, total,
            ])
        } else if optionByteCount > 0 {
            output.append(words: [0, total])
        } else {
            output.append(words: [total])
        }
    }

    package static func append(_ statistics: PcapngStatistics, to output: inout [UInt8]) {
        appendBlock(type: 5, to: &output) { output in
            output.appendLittleEndian(statistics.interfaceID)
            output.appendTimestamp(statistics.timestampNanoseconds)
            appendOptions(to: &output) { options in
                options.append(2, timestamp: statistics.startNanoseconds)
                options.append(3, timestamp: statistics.endNanoseconds)
                options.append(4, number: statistics.received)
                // isb_ifdrop rather than isb_osdrop: it is what Wireshark and capinfos report as
                // dropped, and no operating system stood between the port and this capture.
                options.append(5, number: statistics.dropped)
                options.append(6, number: statistics.accepted)
                options.append(8, number: statistics.delivered)
            }
        }
    }

    /// Appends a Name Resolution Block; nothing when there are no names.
    package static func append(_ names: [PcapngName], to output: inout [UInt8]) {
        let records = names.map { (address: $0.address, text: recordText($0.names)) }
            .filter { !$0.text.isEmpty }
        guard !records.isEmpty else { return }
        appendBlock(type: 4, to: &output) { output in
            for record in records {
                let (type, addressByteCount) = record.address.recordTypeAndByteCount
                output.appendLittleEndian(type)
                output.appendLittleEndian(UInt16(addressByteCount + record.text.count))
                switch record.address {
                case .mac(let value): output.appendMACAddress(value)
                case .ipv4(let value): output.appendBigEndian(value)
                case .ipv6(let high, let low):
                    output.appendBigEndian(high)
                    output.appendBigEndian(low)
                }
                output.append(contentsOf: record.text)
                output.padToFour(after: addressByteCount + record.text.count)
            }
            output.appendLittleEndian(0 as UInt32)  // nrb_record_end
        }
    }

    /// The NUL-terminated names of a record; those that no longer fit one record are left out.
    private static func recordText(_ names: [String]) -> [UInt8] {
        var text: [UInt8] = []
        for name in names {
            let octets = PcapngText.octets(of: name, limit: 255)
            guard !octets.isEmpty, text.count + octets.count < 65_000 else { continue }
            text += octets
            text.append(0)
        }
        return text
    }

    /// Appends a block's frame around what `body` appends, which must be a multiple of four bytes.
    private static func appendBlock(
        type: UInt32, to output: inout [UInt8], body: (inout [UInt8]) -> Void
    ) {
        let start = output.count
        output.appendLittleEndian(type)
        output.appendLittleEndian(0 as UInt32)
        body(&output)
        let byteCount = UInt32(output.count - start + 4)
        assert(byteCount % 4 == 0)
        output.appendLittleEndian(byteCount)
        for index in 0..<4 {
            output[start + 4 + index] = UInt8(truncatingIfNeeded: byteCount >> (8 * index))
        }
    }

    /// Appends the options that `body` adds and, if there are any, the end of options.
    private static func appendOptions(
        to output: inout [UInt8], body: (inout PcapngOptionList) -> Void
    ) {
        var options = PcapngOptionList(taking: &output)
        body(&options)
        output = options.finish()
    }
}

extension PcapngName.Address {
    fileprivate var recordTypeAndByteCount: (UInt16, Int) {
        switch self {
        case .ipv4: (1, 4)
        case .ipv6: (2, 16)
        case .mac: (3, 6)
        }
    }
}
