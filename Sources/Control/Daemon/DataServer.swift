import ControlAPI
import Foundation
import Glibc
import Logging
import Synchronization
import SystemPackage

/// Serves the data socket: descriptors of namespaces, captures, leases, and hypervisors' network
/// cards.
///
/// One thread accepts; each connection gets a thread of its own, since a capture lasts. The socket's
/// mode admits its owner only, so whoever connects may do what the daemon may; still no number of
/// clients, and none that is silent, may use up the daemon's threads and descriptors, which ports
/// need: there are so many connections at once, and a client has so long to say what it wants.
package final class DataServer: Sendable {
    private let controller: Controller
    private let listener: SeqpacketSocket
    private let path: String
    private let access: Access
    private let log: Logger
    private static let connectionLimit = 64
    /// Leases last as long as VMs do, and take a thread each that sleeps.
    private static let leaseLimit = 2048
    private static let patience = Duration.seconds(10)
    private let isStopping = Atomic<Bool>(false)
    private let connections = Atomic<Int>(0)
    private let leases = Atomic<Int>(0)

    /// Who may connect, and ask for what.
    package enum Access: Sendable {
        /// The socket's owner, anything.
        case owner
        /// A group, for network cards on these networks, or with none named on any.
        case nics(group: UInt32, networks: Set<String>)
    }

    package init(
        path: String, access: Access = .owner, controller: Controller, log: Logger
    ) throws(SystemError) {
        self.path = path
        self.access = access
        self.controller = controller
        self.log = log
        listener = try SeqpacketSocket.listen(at: path)
        if case .nics(let group, _) = access {
            try check(chown(path, .max, group), "give the socket '\(path)' to its group")
            try check(chmod(path, 0o660), "set the mode of the socket '\(path)'")
        }
        try listener.setNonBlocking(true)
    }

    package func start() {
        let thread = Thread { [self] in
            while !isStopping.load(ordering: .acquiring) {
                var polled = pollfd(
                    fd: listener.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
                // Woken twice a second at most while stopping; idle otherwise costs one wake-up.
                guard poll(&polled, 1, 500) > 0 else { continue }
                do {
                    guard let connection = try listener.accept() else { continue }
                    serve(connection)
                } catch {
                    log.warning("data socket: \(error)")
                    usleep(100_000)
                }
            }
        }
        thread.name = "heddle-data"
        thread.start()
    }

    /// Ends captures with their last blocks, and removes the socket.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        for _ in 0..<100 where connections.load(ordering: .acquiring) > 0 { usleep(20_000) }
        unlink(path)
    }

    private func serve(_ connection: SeqpacketSocket) {
        guard connections.load(ordering: .relaxed) < DataServer.connectionLimit else {
            log.warning(
                "data socket: \(DataServer.connectionLimit) clients at once: one is refused")
            // A fresh socket has room for it: this does not wait.
            try? refuse("there are \(DataServer.connectionLimit) captures already", on: connection)
            return
        }
        connections.add(1, ordering: .relaxed)
        let thread = Thread { [self] in
            defer { connections.subtract(1, ordering: .releasing) }
            do {
                guard waitForRequest(on: connection),
                    case .message(let message) = try connection.receive()
                else { return }
                for descriptor in message.descriptors { try? descriptor.close() }
                try answer(message.bytes, on: connection)
            } catch {
                log.debug("data socket: \(error)")
            }
        }
        thread.name = "heddle-client"
        thread.start()
    }

    /// Whether the client says something in time, and before the switch ends.
    private func waitForRequest(on connection: SeqpacketSocket) -> Bool {
        let end = ContinuousClock.now + DataServer.patience
        while !isStopping.load(ordering: .acquiring), ContinuousClock.now < end {
            var polled = pollfd(
                fd: connection.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            if poll(&polled, 1, 200) > 0 { return true }
        }
        return false
    }

    private func answer(_ bytes: [UInt8], on connection: SeqpacketSocket) throws {
        let request: DataRequest
        do {
            request = try DataRequest(json: bytes)
        } catch {
            return try refuse("the request is not one that this heddle knows", on: connection)
        }
        if case .nics(_, let networks) = access {
            guard case .nic(let network, _) = request else {
                return try refuse("this socket is for network cards only", on: connection)
            }
            guard networks.isEmpty || networks.contains(network) else {
                return try refuse(
                    "network '\(network)' is not one that this group may use; these are: "
                        + networks.sorted().joined(separator: ", "), on: connection)
            }
        }
        switch request {
        case .lease(let port): try lease(port, on: connection)
        case .nic(let network, let hasHeader):
            try sendNIC(network: network, hasHeader: hasHeader, on: connection)
        case .namespace(let name): try sendNamespace(name, on: connection)
        case .capture(let capture):
            try CaptureService(controller: controller, connection: connection)
                .run(capture, until: { self.isStopping.load(ordering: .acquiring) })
        case .stop: try refuse("there is no capture to stop", on: connection)
        }
    }

    /// Attaches a port and keeps it until the client is gone.
    private func lease(_ request: PortAttachRequest, on connection: SeqpacketSocket) throws {
        guard leases.load(ordering: .relaxed) < DataServer.leaseLimit else {
            return try refuse("there are \(DataServer.leaseLimit) leases already", on: connection)
        }
        let lease: UInt64
        do {
            lease = try controller.leasePort(request)
        } catch {
            let response = error.response
            let lines = response.details.isEmpty ? [response.error] : response.details
            return try refuse(lines.joined(separator: "\n"), on: connection)
        }
        leases.add(1, ordering: .relaxed)
        // Not counted among the connections that the end of the switch waits for.
        connections.subtract(1, ordering: .releasing)
        defer {
            connections.add(1, ordering: .relaxed)
            leases.subtract(1, ordering: .relaxed)
            controller.endLease(lease)
        }
        try connection.send(try DataReply(ok: true).json())
        // Whatever it says, it is there; what it cannot say any more is that it is gone.
        while case .message(let message) = try connection.receive() {
            for descriptor in message.descriptors { try? descriptor.close() }
        }
    }

    private func sendNIC(
        network: String, hasHeader: Bool, on connection: SeqpacketSocket
    ) throws {
        let descriptor: FileDescriptor
        do {
            descriptor = try controller.makeNIC(network: network, hasHeader: hasHeader)
        } catch let error as ServiceError {
            return try refuse(error.response.error, on: connection)
        } catch {
            return try refuse("\(error)", on: connection)
        }
        defer { try? descriptor.close() }
        try connection.send(try DataReply(ok: true).json(), descriptors: [descriptor])
    }

    private func refuse(_ sentence: String, on connection: SeqpacketSocket) throws {
        try connection.send(try DataReply(ok: false, error: sentence).json())
    }

    /// Sends the daemon's user and mount namespace and the network namespace of that name.
    private func sendNamespace(_ name: String, on connection: SeqpacketSocket) throws {
        let model = controller.model.withLock { $0 }
        let live = model.namespaces[name]?.namespace
        let found: NetworkNamespace?
        do {
            found =
                try name == DataRequest.ownNamespace
                ? NetworkNamespace.current()
                : live
                    ?? NetworkNamespace.open(
                        named: name, in: controller.options.namespaceDirectory)
        } catch {
            return try refuse("\(error)", on: connection)
        }
        guard let found else {
            let names = model.namespaces.keys.sorted()
            return try refuse(
                "there is no namespace '\(name)'; there are: "
                    + (names.isEmpty ? "none" : names.prefix(12).joined(separator: ", ")),
                on: connection)
        }
        let user = try FileDescriptor.open("/proc/self/ns/user", .readOnly, options: .closeOnExec)
        defer { try? user.close() }
        let mount = try FileDescriptor.open("/proc/self/ns/mnt", .readOnly, options: .closeOnExec)
        defer { try? mount.close() }
        try connection.send(
            try DataReply(ok: true).json(), descriptors: [user, mount, found.descriptor])
    }
}
