/// The options of one block while they are appended. It takes the caller's buffer and hands it
/// back from `finish`, so that bytes are written once and the buffer keeps its capacity.
struct PcapngOptionList {
    private var output: [UInt8]
    private let start: Int

    /// Takes the buffer's storage, leaving it empty until `finish` returns it.
    init(taking buffer: inout [UInt8]) {
        output = []
        swap(&output, &buffer)
        start = output.count
    }

    /// Ends the list, if it holds an option at all, and returns the buffer.
    consuming func finish() -> [UInt8] {
        if output.count > start {
            output.appendLittleEndian(0 as UInt32)  // opt_endofopt
        }
        return output
    }

    /// Returns the buffer without an end, since more options are to follow.
    consuming func unended() -> [UInt8] { output }

    /// Appends an option whose value is the `byteCount` bytes that `value` appends.
    mutating func append(_ code: UInt16, byteCount: Int, value: (inout [UInt8]) -> Void) {
        output.appendLittleEndian(code)
        output.appendLittleEndian(UInt16(byteCount))
        value(&output)
        output.padToFour(after: byteCount)
    }

    /// Appends a text option, after an octet that tells its kind if there is one.
    mutating func append(_ code: UInt16, text: String?, kind: UInt8? = nil) {
        guard let text else { return }
        let octets = PcapngText.octets(of: text, limit: kind == nil ? 65_535 : 65_534)
        append(code, byteCount: octets.count + (kind == nil ? 0 : 1)) { output in
            if let kind { output.append(kind) }
            output.append(contentsOf: octets)
        }
    }

    mutating func append(_ code: UInt16, number: UInt64?) {
        guard let number else { return }
        append(code, byteCount: 8) { $0.appendLittleEndian(number) }
    }

    mutating func append(_ code: UInt16, timestamp: UInt64?) {
        guard let timestamp else { return }
        append(code, byteCount: 8) { $0.appendTimestamp(timestamp) }
    }

    mutating func append(_ code: UInt16, verdict: PcapngVerdict?) {
        let kind: UInt8
        let number: UInt64
        switch verdict {
        case nil: return
        case .hardware(let octets):
            let kept = octets.prefix(65_534)
            append(code, byteCount: kept.count + 1) { output in
                output.append(0)
                output.append(contentsOf: kept)
            }
            return
        case .trafficControl(let value): (kind, number) = (1, value)
        case .xdp(let value): (kind, number) = (2, value)
        }
        append(code, byteCount: 9) { output in
            output.append(kind)
            output.appendLittleEndian(number)
        }
    }
}
