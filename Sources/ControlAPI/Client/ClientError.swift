/// Why a client got no answer. Each description says what to do.
package enum ClientError: Error, Equatable, CustomStringConvertible {
    /// Nothing listens at any of the paths.
    case noSwitch(paths: [String])
    case permissionDenied(path: String)
    case pathTooLong(path: String)
    /// A system call on the socket failed.
    case socket(path: String, operation: String, errno: Int32)
    case timedOut(path: String, seconds: Int)
    /// What answered does not speak HTTP as the daemon does.
    case malformedReply(path: String, reason: String)
    case replyTooLarge(path: String, byteCount: Int)
    /// The daemon refused; its own words.
    case refused(status: Int, ErrorResponse)

    package var description: String {
        switch self {
        case .noSwitch(let paths):
            return "no switch answers at \(paths.joined(separator: " or ")): "
                + "start one with 'heddle run FILE' or name its socket with --socket"
        case .permissionDenied(let path):
            return "\(path): permission denied: run as the user who runs the switch, or with sudo"
        case .pathTooLong(let path):
            return "\(path): a socket path may have at most \(SocketPath.maximumByteCount) bytes: "
                + "choose a shorter one with --socket"
        case .socket(let path, let operation, let code):
            return "\(path): \(operation) failed: \(errorText(code))"
        case .timedOut(let path, let seconds):
            return "\(path): no answer within \(seconds) s: the switch is busy or stopped; "
                + "try again or look at its log"
        case .malformedReply(let path, let reason):
            return "\(path): what answers there is not a Heddle switch (\(reason)): "
                + "name the right socket with --socket"
        case .replyTooLarge(let path, let byteCount):
            return "\(path): the answer is larger than \(byteCount) bytes: narrow the request"
        case .refused(_, let response):
            return ([response.error] + response.details).joined(separator: "\n")
        }
    }
}
