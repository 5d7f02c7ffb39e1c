import ControlAPI
import Foundation
import Glibc
import Logging
import SystemPackage
import Topology

/// `heddle run`: the switch in the foreground, from the first check to the last clean-up.
///
/// The order matters: the file is read and validated before anything is touched; namespaces are
/// entered before any thread starts; the lock is taken before sockets are bound; the sockets open
/// when the topology stands; and what is said to be ready is.
package struct Daemon {
    private let options: RunOptions
    private let paths: Paths

    /// Why the switch does not start; lines for standard error.
    package struct Failure: Error, CustomStringConvertible {
        package let lines: [String]
        package var description: String { lines.joined(separator: "\n") }
    }

    private struct Paths {
        var socket: String
        var state: String
        var namespaces: String
        /// Removed at the end: the sandbox's private directory.
        var privateDirectory: String?
    }

    private init(_ options: RunOptions) {
        var options = options
        if options.socketPath == nil,
            let path = ProcessInfo.processInfo.environment["HEDDLE_SOCKET"], !path.isEmpty
        {
            options.socketPath = path
        }
        self.options = options
        paths = Daemon.paths(options)
    }

    private static func paths(_ options: RunOptions) -> Paths {
        if options.sandbox {
            let socket = options.socketPath ?? SocketPath.sandbox()
            let folder = (socket as NSString).deletingLastPathComponent
            let inner = folder + "/sandbox"
            return Paths(
                socket: socket, state: options.stateDirectory ?? inner + "/state",
                namespaces: inner + "/netns", privateDirectory: inner)
        }
        return Paths(
            socket: options.socketPath ?? SocketPath.system,
            state: options.stateDirectory ?? "/var/lib/heddle",
            namespaces: NetworkNamespace.defaultDirectory, privateDirectory: nil)
    }

    /// Runs until a signal asks it to end. Call it before any thread starts.
    ///
    /// - Throws: ``Failure``, or the error of the system call or the device that stood in the way.
    package static func run(_ options: RunOptions) throws {
        try Daemon(options).run()
    }

    private func run() throws {
        let file = try loadFile()
        let lock = try takeLock()
        if options.sandbox { try enterSandbox() }
        let signals = try SignalDescriptor([SIGINT, SIGTERM, SIGHUP])
        SignalDescriptor.ignoreBrokenPipes()
        Daemon.raiseDescriptorLimit()

        let log = logger()
        let store = try StateStore(directory: paths.state)
        // Two switches with one state would take each other's devices for left-overs.
        let stateLock = try InstanceLock(path: paths.state + "/lock", option: "--state")
        let controller = try Controller(
            options: Controller.Options(
                store: store, namespaceDirectory: paths.namespaces,
                workers: options.workerCount, isSandbox: options.sandbox,
                host: try options.host ?? store.load().host ?? HostName.ofMachine()), log: log)
        do {
            try start(controller, file: file, log: log, signals: signals)
        } catch {
            cleanUp()
            throw error
        }
        withExtendedLifetime((lock, stateLock)) { cleanUp() }
    }

    private func start(
        _ controller: Controller, file: Topology?, log: Logger, signals: SignalDescriptor
    ) throws {
        do {
            if let file, let name = options.file {
                try controller.apply(file, name: name)
            } else if let stored = try controller.storedTopology() {
                try controller.apply(stored.topology, name: stored.name)
            }
        } catch {
            controller.abandon()
            if let failure = error as? Transaction.Failure { throw Failure(lines: failure.lines) }
            throw error
        }
        controller.removeLeftovers()
        do {
            try serve(controller, log: log, signals: signals)
        } catch {
            controller.stop()
            throw error
        }
        controller.stop()
    }

    /// Opens the sockets, says so, and waits for the end.
    private func serve(
        _ controller: Controller, log: Logger, signals: SignalDescriptor
    ) throws {
        let server = APIServer(path: paths.socket, service: controller, logger: log)
        try server.start()
        let data = try DataServer(
            path: paths.socket + DataRequest.pathSuffix, controller: controller, log: log)
        data.start()
        let nics = try nicServer(controller, log: log)
        nics?.start()
        report(controller)
        Daemon.notify("READY=1")
        waitForEnd(signals, controller: controller, log: log)
        Daemon.notify("STOPPING=1")
        // Whoever waits for the next event would hold the server up.
        controller.journal.close()
        server.stop()
        data.stop()
        nics?.stop()
    }

    /// The socket of a group that may have network cards.
    private func nicServer(_ controller: Controller, log: Logger) throws -> DataServer? {
        guard let option = options.nicGroup else { return nil }
        let parts = option.split(separator: "=", maxSplits: 1)
        let networks = parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : []
        let group = try Account.group(String(parts.first ?? ""))
        let folder = (paths.socket as NSString).deletingLastPathComponent
        // The group has to get as far as its socket; the others are closed to it.
        chmod(folder, 0o711)
        return try DataServer(
            path: paths.socket + DataRequest.nicPathSuffix,
            access: .nics(group: group, networks: Set(networks)), controller: controller, log: log)
    }

    /// SIGINT and SIGTERM end the switch; SIGHUP applies the file again.
    private func waitForEnd(
        _ signals: SignalDescriptor, controller: Controller, log: Logger
    ) {
        while signals.wait() == SIGHUP {
            guard let path = options.file else {
                log.notice("SIGHUP: there is no file to apply again")
                continue
            }
            do {
                let plan = try controller.apply(try Topology.load(path: path), name: path)
                log.notice("SIGHUP: \(path): \(plan.summary)")
            } catch let failure as Transaction.Failure {
                log.error("SIGHUP: \(failure.lines.joined(separator: "; "))")
            } catch {
                log.error("SIGHUP: \(error)")
            }
        }
    }

    // MARK: Before the start

    private func loadFile() throws -> Topology? {
        guard let path = options.file else { return nil }
        do throws(TopologyError) {
            return try Topology.load(path: path)
        } catch {
            throw Failure(lines: error.lines)
        }
    }

    private func takeLock() throws -> InstanceLock {
        let folder = (paths.socket as NSString).deletingLastPathComponent
        if !folder.isEmpty, mkdir(folder, 0o700) != 0, errno != EEXIST {
            let code = errno
            throw Failure(lines: [
                "cannot make the directory '\(folder)' for the control socket: "
                    + "\(String(cString: strerror(code))); run as root, use --sandbox, or choose "
                    + "another place with --socket PATH"
            ])
        }
        if options.sandbox, options.socketPath == nil, !SocketPath.isPrivate(folder) {
            throw Failure(lines: [
                "the directory '\(folder)' of the sandbox's socket is not yours alone: "
                    + "remove it, or choose another place with --socket PATH"
            ])
        }
        guard
            paths.socket.utf8.count + DataRequest.pathSuffix.utf8.count
                <= SocketPath.maximumByteCount
        else {
            throw Failure(lines: [
                "the socket path '\(paths.socket)' is too long: the kernel allows "
                    + "\(SocketPath.maximumByteCount - DataRequest.pathSuffix.utf8.count) bytes; "
                    + "choose a shorter one with --socket PATH"
            ])
        }
        return try InstanceLock(path: paths.socket + ".lock")
    }

    private func enterSandbox() throws {
        try Sandbox.enter()
        guard let folder = paths.privateDirectory else { return }
        try Sandbox.mountPrivateDirectory(at: folder)
    }

    /// A port takes a descriptor or two; 4096 of them exceed the usual limit.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(limit.rlim_max, 65_536)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    private func logger() -> Logger {
        var logger = Logger(label: "heddle") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = options.logLevel
        return logger
    }

    // MARK: After the start

    /// Says what stands, and what can be typed next.
    private func report(_ controller: Controller) {
        let ports = controller.ports().ports
        let networks = controller.networks().networks
        var lines = [
            "heddle \(HeddleVersion.current) is ready: "
                + "\(networks.count) network\(networks.count == 1 ? "" : "s"), "
                + "\(ports.count) port\(ports.count == 1 ? "" : "s"), "
                + "control socket \(paths.socket)"
        ]
        if options.reports {
            lines += [""] + connections(ports)
            if let reachability = Reachability.measure(controller) {
                lines += ["", "Who reaches whom, measured by ping (rows ping columns):", ""]
                lines += reachability.lines.map { "  " + $0 }
            } else if ports.count > 1 {
                lines += [
                    "",
                    "Who reaches whom was not measured: it needs the program 'ping' and "
                        + "2 to 16 ports with a namespace and an address.",
                ]
            }
            lines += [""] + suggestions(ports)
        }
        // Not print: a pipe would hold it back until the buffer is full.
        FileHandle.standardOutput.write(Data((lines.joined(separator: "\n") + "\n").utf8))
    }

    private func connections(_ ports: [PortInfo]) -> [String] {
        let width = ports.map(\.name.count).max() ?? 0
        return ports.prefix(16).map { port in
            let name = port.name.padding(toLength: width, withPad: " ", startingAt: 0)
            let membership =
                port.network.map { "network \($0)" }
                ?? "trunk of \(port.trunk.joined(separator: ", "))"
            let place = port.namespace.map { " in namespace \($0)" } ?? ""
            let addresses =
                port.addresses.isEmpty ? "" : ", " + port.addresses.joined(separator: ", ")
            return "  \(name)  \(membership): \(port.kind) \(port.device ?? "")\(place)\(addresses)"
        } + (ports.count > 16 ? ["  and \(ports.count - 16) more"] : [])
    }

    private func suggestions(_ ports: [PortInfo]) -> [String] {
        let program = CommandLine.arguments.first ?? "heddle"
        var prefix = program
        if options.socketPath != nil { prefix = "HEDDLE_SOCKET=\(paths.socket) \(program)" }
        var lines = ["Type in a second terminal:", ""]
        let housed = ports.filter { $0.namespace != nil && !$0.addresses.isEmpty }
        if let first = housed.first, let namespace = first.namespace {
            let other =
                housed.dropFirst().first { $0.network == first.network } ?? housed.last ?? first
            let address = other.addresses.first.map { String($0.prefix { $0 != "/" }) } ?? ""
            lines.append("  \(prefix) exec \(namespace) -- ping -c 3 \(address)")
        }
        lines.append("  \(prefix) fdb list")
        if let first = ports.first {
            // What is typed must work as it stands, and not everybody has tshark.
            let version = try? ChildProcess.run(["tshark", "-v"], timeout: .seconds(5))
            let hasReader = version?.isSuccess == true
            let capture = "\(prefix) capture \(first.name) --duration 10"
            lines.append(
                hasReader
                    ? "  \(capture) | tshark -r -" : "  \(capture) -w \(first.name).pcapng")
        }
        lines += ["", "Ctrl-C ends the switch and removes what it made."]
        return lines
    }

    private func cleanUp() {
        guard let folder = paths.privateDirectory else { return }
        Sandbox.removePrivateDirectory(at: folder)
        if options.socketPath == nil {
            unlink(paths.socket + ".lock")
            rmdir((paths.socket as NSString).deletingLastPathComponent)
        }
    }

    /// Tells the service manager, if there is one (sd_notify(3)).
    private static func notify(_ message: String) {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), !path.isEmpty else {
            return
        }
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        guard socket >= 0 else { return }
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8.prefix(107))
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            room.copyBytes(from: bytes)
            // An abstract address is written with '@'.
            if bytes.first == UInt8(ascii: "@") { room[0] = 0 }
        }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(socket, message, message.utf8.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
