import ControlAPI
import Dispatch
import FlyingFox
import FlyingSocks
import Foundation
import Glibc
import Logging
import Synchronization

/// Serves the control interface over HTTP on a Unix socket.
///
/// FlyingFox speaks HTTP; this type binds, limits and translates. The socket is bound in a fresh
/// directory of mode 0700 beside its path, given its mode, and renamed into place once it listens:
/// so nobody connects before the mode is set, no umask is touched, and a stale file is replaced in
/// one step. That nobody else serves at the path is the caller's to know (it holds the lock).
///
/// Each request is answered on a thread of its own and may block there; the threads of Swift's
/// concurrency pool only move bytes. If the listener fails (out of descriptors), it is opened again
/// after a second. What FlyingFox cannot parse it answers by closing the connection.
package final class APIServer: Sendable {
    /// Bytes of a request's body.
    package static let maximumBodyByteCount = 4 * 1024 * 1024
    /// Seconds after which FlyingFox gives up on a handler. An apply of hundreds of ports takes
    /// seconds; this only bounds one that hangs.
    static let handlerTimeoutSeconds = 110.0

    private struct State {
        var server: HTTPServer?
        var task: Task<Void, Never>?
        var isStopping = false
    }

    private let path: String
    private let mode: mode_t
    private let logger: Logger
    private let handler: APIHandler
    private let state = Mutex(State())

    /// - Parameters:
    ///   - path: Where to listen. Its directory exists.
    ///   - mode: Permissions of the socket: 0600, or 0660 to admit a group.
    package init(
        path: String, mode: UInt32 = 0o600, service: any SwitchService, logger: Logger
    ) {
        self.path = path
        self.mode = mode
        self.logger = logger
        handler = APIHandler(dispatch: APIDispatch(service: service))
    }

    /// Returns when clients can connect. Blocks for a moment; not to be called in a Task.
    ///
    /// Ignores SIGPIPE for the process: a client that hangs up must not end the switch.
    package func start() throws(APIServerError) {
        signal(SIGPIPE, SIG_IGN)
        let first = Mutex<APIServerError?>(nil)
        let isReady = DispatchSemaphore(value: 0)
        let task = Task.detached { [self] in
            var report: (@Sendable (APIServerError?) -> Void)? = { error in
                first.withLock { $0 = error }
                isReady.signal()
            }
            while !state.withLock({ $0.isStopping }) {
                do throws(APIServerError) {
                    try await listen {
                        report?(nil)
                        report = nil
                    }
                    break
                } catch {
                    if let report {
                        report(error)
                        return
                    }
                    logger.error("\(error.description); listening again in a second")
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
        state.withLock { $0.task = task }
        isReady.wait()
        if let error = first.withLock({ $0 }) { throw error }
    }

    /// Stops listening, gives answers under way two seconds, and removes the socket.
    package func stop() {
        let server = state.withLock { state in
            state.isStopping = true
            return state.server
        }
        let isDone = DispatchSemaphore(value: 0)
        let task = state.withLock { $0.task }
        // FlyingFox waits its whole time even when nothing is under way.
        let timeout = handler.activity.isIdle ? 0.0 : 2.0
        Task.detached {
            await server?.stop(timeout: timeout)
            await task?.value
            isDone.signal()
        }
        isDone.wait()
        unlink(path)
    }

    /// Listens until stopped; throws if it cannot or no longer can.
    private func listen(onReady: () -> Void) async throws(APIServerError) {
        let directory = try makeDirectory()
        let temporary = directory + "/s"
        defer {
            unlink(temporary)
            rmdir(directory)
        }
        let server = HTTPServer(
            config: HTTPServer.Configuration(
                address: sockaddr_un.unix(path: temporary),
                timeout: Self.handlerTimeoutSeconds,
                logger: ServerLog(logger: logger)),
            handler: handler)
        let waiting = Task { try await server.waitUntilListening() }
        let running = Task {
            do {
                try await server.run()
            } catch {
                waiting.cancel()
                throw error
            }
        }
        do {
            try await waiting.value
        } catch {
            running.cancel()
            guard case .failure(let cause) = await running.result else {
                throw .cannotListen(path: path, reason: "\(error)")
            }
            throw .cannotListen(path: path, reason: "\(cause)")
        }
        guard chmod(temporary, mode) == 0, rename(temporary, path) == 0 else {
            let reason = errorText(errno)
            await server.stop()
            throw .cannotListen(path: path, reason: reason)
        }
        rmdir(directory)
        state.withLock { $0.server = server }
        onReady()
        let result = await running.result
        if case .failure(let error) = result, !state.withLock({ $0.isStopping }) {
            throw .stoppedListening(path: path, reason: "\(error)")
        }
    }

    /// Makes a private directory beside the path, whose name leaves room for the socket's.
    private func makeDirectory() throws(APIServerError) -> String {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        var template = Array((parent + "/.hXXXXXX").utf8CString)
        guard max(path.utf8.count, template.count + 1) <= SocketPath.maximumByteCount else {
            throw .pathTooLong(path: path)
        }
        guard mkdtemp(&template) != nil else {
            throw .cannotListen(path: path, reason: errorText(errno))
        }
        return template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
    }
}

/// Why the control socket cannot be served.
package enum APIServerError: Error, Equatable, CustomStringConvertible {
    case pathTooLong(path: String)
    case cannotListen(path: String, reason: String)
    case stoppedListening(path: String, reason: String)

    package var description: String {
        switch self {
        case .pathTooLong(let path):
            "\(path): too long for a socket (\(SocketPath.maximumByteCount) bytes): "
                + "choose a shorter path with --socket"
        case .cannotListen(let path, let reason):
            "\(path): cannot listen: \(reason): check that its directory exists and is "
                + "writable, or choose another with --socket"
        case .stoppedListening(let path, let reason):
            "\(path): no longer listening: \(reason)"
        }
    }
}

/// Translates between FlyingFox and `APIDispatch`.
private struct APIHandler: HTTPHandler {
    let dispatch: APIDispatch
    let activity = Activity()

    /// How many requests are being answered.
    final class Activity: Sendable {
        private let count = Atomic<Int>(0)
        var isIdle: Bool { count.load(ordering: .acquiring) == 0 }
        func begin() { count.add(1, ordering: .acquiringAndReleasing) }
        func end() { count.subtract(1, ordering: .acquiringAndReleasing) }
    }

    func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
        activity.begin()
        defer { activity.end() }
        let limit = APIServer.maximumBodyByteCount
        var body: [UInt8] = []
        var isTooLarge = (request.bodySequence.count ?? 0) > limit
        if !isTooLarge {
            for try await chunk in request.bodySequence {
                body += chunk
                if body.count > limit {
                    isTooLarge = true
                    break
                }
            }
        }
        if isTooLarge {
            let error = "the request's body is larger than \(limit) bytes"
            return response(.failure(413, ErrorResponse(error: error)), closing: true)
        }
        let method = request.method.rawValue
        let target = request.target.rawValue
        let answer = await withCheckedContinuation { continuation in
            // A serial queue has a thread of its own whatever blocks elsewhere; a concurrent one
            // has as many as there are cores, and an apply would hold up every listing.
            DispatchQueue(label: "heddle.api.request").async { [body] in
                continuation.resume(
                    returning: dispatch.answer(method: method, target: target, body: body))
            }
        }
        return response(answer, closing: false)
    }

    private func response(_ answer: APIAnswer, closing: Bool) -> HTTPResponse {
        var headers: HTTPHeaders = [.contentType: answer.contentType]
        if let allowed = answer.allowed { headers[HTTPHeader("Allow")] = allowed }
        if closing { headers[.connection] = "close" }
        return HTTPResponse(
            statusCode: HTTPStatusCode(answer.status, phrase: Self.phrase(answer.status)),
            headers: headers, body: Data(answer.body))
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 413: "Content Too Large"
        default: "Internal Server Error"
        }
    }
}

/// FlyingFox's log, one level down: what it calls an error is a client that hung up.
private struct ServerLog: FlyingSocks.Logging {
    let logger: Logger

    func logDebug(_ text: @autoclosure () -> String) { logger.trace("\(text())") }
    func logInfo(_ text: @autoclosure () -> String) { logger.trace("\(text())") }
    func logWarning(_ text: @autoclosure () -> String) { logger.debug("\(text())") }
    func logError(_ text: @autoclosure () -> String) { logger.debug("\(text())") }
    func logCritical(_ text: @autoclosure () -> String) { logger.debug("\(text())") }
}
