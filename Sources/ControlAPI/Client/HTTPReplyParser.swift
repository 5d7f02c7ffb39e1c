/// An HTTP answer: status, media type and body.
package struct HTTPReply: Sendable, Equatable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]
}

/// Takes an HTTP/1.1 answer apart as its bytes arrive (RFC 9112).
///
/// A pure state machine: `append` bytes, then look at `reply`; `finish` at the end of the stream.
/// Bodies are delimited by `Content-Length`, by chunks, or by the end of the stream, in the order
/// of RFC 9112 §6.3. Interim (1xx) answers are skipped. Anything else is an error with its reason;
/// neither a length nor a line of the peer's can make it hold more than the limits below.
struct HTTPReplyParser {
    enum Failure: Error, Equatable {
        case malformed(String)
        case tooLarge
    }

    private enum Stage: Equatable {
        case head
        case body(remaining: Int)
        case chunkSize
        case chunkData(remaining: Int)
        case chunkEnd
        case trailer
        case untilEnd
        case done
    }

    /// Bytes of status line and headers, or of one chunk-size or trailer line.
    static let maximumHeadByteCount = 64 * 1024

    private let maximumBodyByteCount: Int
    private var stage = Stage.head
    private var buffer: [UInt8] = []
    private var position = 0
    private var status = 0
    private var contentType = ""
    private var body: [UInt8] = []

    init(maximumBodyByteCount: Int) {
        self.maximumBodyByteCount = maximumBodyByteCount
    }

    /// The answer, once it is complete.
    var reply: HTTPReply? {
        stage == .done ? HTTPReply(status: status, contentType: contentType, body: body) : nil
    }

    mutating func append(_ bytes: some Sequence<UInt8>) throws(Failure) {
        buffer.append(contentsOf: bytes)
        while stage != .done, try advance() {}
        buffer.removeFirst(position)
        position = 0
    }

    /// The peer has closed: completes a body that ends with the stream, else the answer was cut.
    mutating func finish() throws(Failure) {
        switch stage {
        case .done: return
        case .untilEnd: stage = .done
        case .head where body.isEmpty && buffer.isEmpty:
            throw .malformed("it closed without an answer")
        default: throw .malformed("the answer is cut short")
        }
    }

    /// Takes one step; false when it needs more bytes.
    private mutating func advance() throws(Failure) -> Bool {
        switch stage {
        case .head:
            guard let head = try takeHead() else { return false }
            try parse(head: head)
        case .body(let remaining):
            guard let rest = try takeBody(remaining) else { return false }
            stage = rest == 0 ? .done : .body(remaining: rest)
        case .untilEnd:
            _ = try takeBody(Int.max)
            return false
        case .chunkSize:
            guard let line = try takeLine() else { return false }
            let digits = line.prefix { $0 != UInt8(ascii: ";") }
            let text = String(decoding: digits, as: UTF8.self).trimmed
            guard !text.isEmpty, text.allSatisfy(\.isHexDigit), let size = Int(text, radix: 16)
            else { throw .malformed("a chunk has no size") }
            guard size <= maximumBodyByteCount - body.count else { throw .tooLarge }
            stage = size == 0 ? .trailer : .chunkData(remaining: size)
        case .chunkData(let remaining):
            guard let rest = try takeBody(remaining) else { return false }
            stage = rest == 0 ? .chunkEnd : .chunkData(remaining: rest)
        case .chunkEnd:
            guard let line = try takeLine() else { return false }
            guard line.isEmpty else { throw .malformed("a chunk is longer than it says") }
            stage = .chunkSize
        case .trailer:
            guard let line = try takeLine() else { return false }
            if line.isEmpty { stage = .done }
        case .done:
            return false
        }
        return true
    }

    private mutating func parse(head: [[UInt8]]) throws(Failure) {
        let statusLine = head[0].split(separator: UInt8(ascii: " "), maxSplits: 2)
        guard statusLine.count >= 2, statusLine[0].starts(with: Array("HTTP/1.".utf8)),
            statusLine[1].count == 3,
            let code = Int(String(decoding: statusLine[1], as: UTF8.self)),
            (100...599).contains(code)
        else { throw .malformed("no HTTP status line") }
        var length: Int?
        var isChunked = false
        contentType = ""
        for line in head.dropFirst() {
            let parts = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw .malformed("a header has no colon") }
            let value = String(decoding: parts[1], as: UTF8.self).trimmed
            switch String(decoding: parts[0], as: UTF8.self).lowercased() {
            case "content-length":
                guard let parsed = Int(value), parsed >= 0, length == nil || length == parsed else {
                    throw .malformed("Content-Length is not a number")
                }
                length = parsed
            case "transfer-encoding":
                guard value.lowercased() == "chunked" else {
                    throw .malformed("unknown transfer encoding")
                }
                isChunked = true
            case "content-type": contentType = value
            default: break
            }
        }
        if code < 200 { return }  // Interim: the answer proper follows.
        status = code
        if code == 204 || code == 304 {
            stage = .done
        } else if isChunked {
            stage = .chunkSize
        } else if let length {
            guard length <= maximumBodyByteCount else { throw .tooLarge }
            stage = length == 0 ? .done : .body(remaining: length)
        } else {
            stage = .untilEnd
        }
    }

    /// Lines up to the empty one, or nil while that has not arrived.
    private mutating func takeHead() throws(Failure) -> [[UInt8]]? {
        let start = position
        var lines: [[UInt8]] = []
        while let line = try takeLine() {
            if line.isEmpty {
                guard !lines.isEmpty else { throw .malformed("no HTTP status line") }
                return lines
            }
            lines.append(line)
            guard position - start <= Self.maximumHeadByteCount else {
                throw .malformed("endless headers")
            }
        }
        position = start
        return nil
    }

    /// One line without its end, or nil while that has not arrived.
    private mutating func takeLine() throws(Failure) -> [UInt8]? {
        guard let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) else {
            guard buffer.count - position <= Self.maximumHeadByteCount else {
                throw .malformed("an endless line")
            }
            return nil
        }
        var line = Array(buffer[position..<end])
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        position = end + 1
        return line
    }

    /// Moves at most `remaining` bytes to the body; what then remains, or nil if none was there.
    private mutating func takeBody(_ remaining: Int) throws(Failure) -> Int? {
        let available = min(remaining, buffer.count - position)
        guard available > 0 else { return nil }
        guard body.count + available <= maximumBodyByteCount else { throw .tooLarge }
        body.append(contentsOf: buffer[position..<position + available])
        position += available
        return remaining - available
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = Substring(self)
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
