/// A blocking HTTP/1.1 client over a Unix socket: one connection per request.
///
/// Every wait ends at a deadline and every answer is held to a size, so that a peer that is not the
/// daemon, or is broken, gives an error and neither a hang nor exhausted memory.
package struct HTTPClient: Sendable {
    package let path: SocketPath
    /// Seconds for a whole exchange. An apply of hundreds of ports takes seconds.
    package var timeoutSeconds = 120
    package var maximumReplyByteCount = 64 * 1024 * 1024

    package init(path: SocketPath) {
        self.path = path
    }

    /// Sends one request and waits for its answer, whatever its status.
    ///
    /// - Parameters:
    ///   - target: Path and query, percent-encoded; see `HTTPTarget`.
    ///   - body: JSON, or nil for a request without a body.
    package func send(
        _ method: String, _ target: String, body: [UInt8]? = nil
    ) throws(ClientError) -> HTTPReply {
        let deadline = Deadline(seconds: timeoutSeconds)
        let stream = try connect(until: deadline)
        let path = stream.path
        var request = Array(
            "\(method) \(target) HTTP/1.1\r\nHost: heddle\r\nConnection: close\r\n".utf8)
        if let body {
            request += Array(
                "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n".utf8)
        }
        request += Array("\r\n".utf8) + (body ?? [])
        // A peer that stops reading may have answered already (413): read on either way.
        _ = try stream.write(request, until: deadline)
        var parser = HTTPReplyParser(maximumBodyByteCount: maximumReplyByteCount)
        do {
            while parser.reply == nil {
                let bytes = try stream.read(until: deadline)
                if bytes.isEmpty { try parser.finish() } else { try parser.append(bytes) }
            }
        } catch let failure as HTTPReplyParser.Failure {
            switch failure {
            case .malformed(let reason): throw .malformedReply(path: path, reason: reason)
            case .tooLarge: throw .replyTooLarge(path: path, byteCount: maximumReplyByteCount)
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw .malformedReply(path: path, reason: "\(error)")
        }
        guard let reply = parser.reply else {
            throw .malformedReply(path: path, reason: "no answer")
        }
        return reply
    }

    /// The path that answers, for what goes over the data socket beside it.
    package func answeringPath() throws(ClientError) -> String {
        try connect(until: Deadline(seconds: timeoutSeconds)).path
    }

    /// Connects to the first candidate that answers. One that exists but is closed to this user is
    /// reported only if no other answers.
    private func connect(until deadline: Deadline) throws(ClientError) -> UnixStream {
        var refusal: ClientError?
        for candidate in path.candidates {
            do throws(ClientError) {
                return try UnixStream(path: candidate, until: deadline)
            } catch {
                if case .noSwitch = error { continue }
                refusal = refusal ?? error
            }
        }
        throw refusal ?? .noSwitch(paths: path.candidates)
    }
}

/// Builds the target of a request: a path of encoded segments and a query (RFC 3986 §3.3, §3.4).
package struct HTTPTarget {
    package private(set) var text: String

    package init(_ segments: String...) {
        text = segments.map { "/" + Self.encoded($0) }.joined()
    }

    /// Adds a query parameter; nil adds nothing.
    package func with(_ name: String, _ value: String?) -> HTTPTarget {
        guard let value else { return self }
        var copy = self
        copy.text += (text.contains("?") ? "&" : "?") + "\(name)=\(Self.encoded(value))"
        return copy
    }

    /// Percent-encodes everything but the unreserved characters of RFC 3986 §2.3.
    private static func encoded(_ value: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var result = ""
        for byte in value.utf8 {
            let character = Character(UnicodeScalar(byte))
            if character.isASCII,
                character.isLetter || character.isNumber || "-._~".contains(character)
            {
                result.append(character)
            } else {
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return result
    }
}
