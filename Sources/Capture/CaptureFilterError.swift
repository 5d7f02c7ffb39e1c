/// Why a capture filter was refused.
package enum CaptureFilterError: Error, Equatable {
    /// libpcap refused it; `message` is libpcap's own.
    case doesNotCompile(filter: String, message: String)
    case tooLong(byteCount: Int, limit: Int)
    case controlCharacter(filter: String, scalar: Unicode.Scalar)
}

extension CaptureFilterError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .doesNotCompile(let filter, let message):
            return "capture filter '\(filter)' does not compile: \(message);"
                + " see pcap-filter(7) for the syntax"
        case .tooLong(let byteCount, let limit):
            return "capture filter of \(byteCount) bytes is too long: at most \(limit) are accepted"
        case .controlCharacter(let filter, let scalar):
            let shown = filter.unicodeScalars.map { $0.value < 0x20 ? "?" : String($0) }.joined()
            return "capture filter '\(shown)' contains the control character"
                + " \(scalar.escaped(asASCII: true)): remove it"
        }
    }
}
