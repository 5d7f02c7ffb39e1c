import CLinux
import Glibc
import SystemPackage

/// Programs run on behalf of Heddle: pings that prove reachability, commands of `heddle exec`.
package enum ChildProcess {
    package struct Outcome: Equatable, Sendable {
        package enum End: Equatable, Sendable {
            case exited(Int32)
            case signalled(Int32)
            /// It was still running, and was killed with its process group.
            case timedOut
        }

        package let end: End
        /// What it wrote, up to 1 MiB of each.
        package let standardOutput: String
        package let standardError: String

        package var isSuccess: Bool { end == .exited(0) }
    }

    private static let outputLimit = 1 << 20

    /// Runs a program to its end and collects its output. Standard input is empty.
    ///
    /// - Parameters:
    ///   - arguments: the program, looked up in PATH, and its arguments.
    ///   - namespace: the network namespace to start it in; nil: the calling thread's.
    ///   - timeout: after that it is killed.
    package static func run(
        _ arguments: [String], in namespace: FileDescriptor? = nil, timeout: Duration
    ) throws -> Outcome {
        let deadline = ContinuousClock.now + timeout
        let output = try Pipe()
        let errors = try Pipe()
        let spawned = { try spawn(arguments, output: output.writer, errors: errors.writer) }
        // The child inherits the namespace of the thread that makes it.
        let process =
            if let namespace {
                try NamespaceThread.run(.existing(namespace), spawned)
            } else {
                try spawned()
            }
        output.closeWriter()
        errors.closeWriter()

        var status: Int32 = 0
        var isRunning = true
        var isTimedOut = false
        while isRunning {
            // Its end is looked for every 20 ms, since a grandchild may keep the pipes open.
            var polled = [output.pollItem, errors.pollItem]
            poll(&polled, 2, 20)
            output.drain()
            errors.drain()
            if waitpid(process, &status, WNOHANG) == process {
                isRunning = false
            } else if ContinuousClock.now >= deadline {
                isTimedOut = true
                kill(-process, SIGKILL)
                waitpid(process, &status, 0)
                isRunning = false
            } else if output.isAtEnd && errors.isAtEnd {
                usleep(1000)
            }
        }
        output.drain()
        errors.drain()
        let end: Outcome.End =
            if isTimedOut {
                .timedOut
            } else if clinux_exited(status) {
                .exited(clinux_exit_code(status))
            } else {
                .signalled(clinux_signal(status))
            }
        return Outcome(end: end, standardOutput: output.text, standardError: errors.text)
    }

    /// Becomes another program, in the namespaces that this process is in; returns only by
    /// throwing. Signals are as a shell would have left them.
    package static func becomeProgram(_ arguments: [String]) throws(SystemError) -> Never {
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        signal(SIGPIPE, SIG_DFL)
        let errno = withCStrings(arguments) { strings in
            guard let program = strings[0] else { return Errno.noSuchFileOrDirectory }
            execvp(program, strings)
            return Errno.current
        }
        throw notStarted(arguments, errno)
    }

    private static func spawn(
        _ arguments: [String], output: Int32, errors: Int32
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)

        // The daemon's blocked and ignored signals are not the child's business, and a group of
        // its own lets a timeout end all that it started.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        var process: pid_t = 0
        let error = withCStrings(arguments) { strings in
            guard let program = strings[0] else { return ENOENT }
            return posix_spawnp(
                &process, program, &actions, &attributes, strings, clinux_environment())
        }
        guard error == 0 else { throw notStarted(arguments, Errno(rawValue: error)) }
        return process
    }

    private static func notStarted(_ arguments: [String], _ errno: Errno) -> SystemError {
        SystemError(
            "run '\(arguments.first ?? "")'", errno,
            remedy: errno == .noSuchFileOrDirectory ? "install it, or correct PATH" : nil)
    }

    /// Calls `body` with a NULL-terminated array of C strings.
    private static func withCStrings<Value>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        var copies = strings.map { strdup($0) }
        copies.append(nil)
        defer { for copy in copies { free(copy) } }
        return body(copies)
    }

    /// A pipe from the child; closed with this object.
    private final class Pipe {
        private let reader: Int32
        private(set) var writer: Int32
        private var bytes: [UInt8] = []
        private(set) var isAtEnd = false

        init() throws(SystemError) {
            var ends: [Int32] = [-1, -1]
            try check(pipe2(&ends, O_CLOEXEC), "make a pipe")
            (reader, writer) = (ends[0], ends[1])
            // Only our end: the child's programs expect a pipe that blocks.
            _ = clinux_fcntl_value(reader, F_SETFL, Int(O_NONBLOCK))
        }

        deinit {
            close(reader)
            closeWriter()
        }

        var text: String { String(decoding: bytes, as: UTF8.self) }

        /// At its end a pipe is always readable, which would keep poll from waiting.
        var pollItem: pollfd {
            pollfd(fd: isAtEnd ? -1 : reader, events: Int16(POLLIN), revents: 0)
        }

        func closeWriter() {
            if writer >= 0 { close(writer) }
            writer = -1
        }

        /// Reads what is there; what is beyond the limit is thrown away.
        func drain() {
            withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 1) { buffer in
                while true {
                    let byteCount = read(reader, buffer.baseAddress, buffer.count)
                    if byteCount == 0 { isAtEnd = true }
                    guard byteCount > 0 else { return }
                    bytes += buffer[..<min(byteCount, outputLimit - bytes.count)]
                }
            }
        }
    }
}
