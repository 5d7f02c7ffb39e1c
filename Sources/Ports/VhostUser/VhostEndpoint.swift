import CLinux
import Glibc
import Synchronization

/// Where a port meets its front-end: listens or connects, serves one front-end at a time, and waits
/// for the next when that one has gone.
///
/// Theory of operation
///
/// As a client it tries again after 100 ms, and after twice as long each time up to 2 s, until
/// somebody listens; a front-end that was served once is looked for at the fast pace again. As a
/// server it takes a connection if there is none: another one is closed at once, unless the one
/// before has hung up, which may be learned a moment later than of the new one. A front-end that sends
/// what must not be is put out in the same way, and its state is shown until the next comes.
///
/// Thread: handlers run on the ``PeerLoop``'s thread, ``open(onChange:)`` and ``close()`` on the
/// control side's. A lock has one of them run at a time; what the device is asked to do is asked under
/// it. The device never takes it, so nobody waits for a worker that waits for this.
final class VhostEndpoint: @unchecked Sendable {
    // @unchecked: `lock` guards everything that changes, but for `shown`, which is its own.

    struct Settings: Sendable {
        var path: String
        var isServer: Bool
        var queuePairs: Int
        var access: UnixEndpoint.Access
        /// Nil when it is not known.
        var mtu: UInt16?
    }

    private let settings: Settings
    private let loop: PeerLoop
    private let lock = Mutex(())
    private let shown: Mutex<PeerState>

    private var device: (any VhostDevice)?
    private var onChange: @Sendable (PeerState) -> Void = { _ in }
    private var listener: Int32 = -1
    private var connection: VhostConnection?
    /// The events of the connection's socket that are watched.
    private var awaited: UInt32 = 0
    private var timer: UInt64?
    private var pause = VhostEndpoint.shortestPause

    /// Milliseconds between two attempts to connect.
    private static let shortestPause = 100
    private static let longestPause = 2000

    init(_ settings: Settings, loop: PeerLoop) {
        self.settings = settings
        self.loop = loop
        shown = Mutex(.waiting(VhostEndpoint.waiting(settings)))
    }

    var state: PeerState { shown.withLock { $0 } }

    /// Begins; the device is driven from here to ``close()``.
    func open(
        _ device: any VhostDevice, onChange: @escaping @Sendable (PeerState) -> Void
    ) throws(UnixEndpoint.Failure) {
        _ = try UnixEndpoint.address(settings.path)
        let listener =
            settings.isServer
            ? try UnixEndpoint.bind(.stream, settings.path, access: settings.access) : -1
        lock.withLock { _ in
            self.listener = listener
            self.device = device
            self.onChange = onChange
            if settings.isServer {
                loop.watch(listener, EPOLLIN.rawValue) { [weak self] _ in self?.accept() }
            } else {
                connect()
            }
        }
    }

    /// Ends; nothing is called any more once this has returned, but for a change that was under way.
    func close() {
        lock.withLock { _ in
            if let timer { loop.cancel(timer) }
            timer = nil
            end()
            if listener >= 0 {
                loop.unwatch(listener)
                Glibc.close(listener)
                unlink(settings.path)
                listener = -1
            }
            device = nil
            onChange = { _ in }
        }
    }

    // MARK: Finding a front-end

    private func accept() {
        lock.withLock { _ in
            guard listener >= 0, let descriptor = UnixEndpoint.accept(listener) else { return }
            if let connection, connection.hasHungUp { finish(nil) }
            guard connection == nil else {
                Glibc.close(descriptor)
                return
            }
            begin(descriptor)
        }
    }

    private func connect() {
        do {
            guard let descriptor = try UnixEndpoint.connect(.stream, settings.path) else {
                connectLater()
                return
            }
            begin(descriptor)
        } catch {
            show(.failed("\(error)"))
            connectLater()
        }
    }

    private func connectLater() {
        timer = loop.after(milliseconds: pause) { [weak self] in
            guard let self else { return }
            lock.withLock { _ in
                guard self.timer != nil else { return }
                self.timer = nil
                self.connect()
            }
        }
        pause = min(2 * pause, VhostEndpoint.longestPause)
    }

    // MARK: A front-end

    private func begin(_ descriptor: Int32) {
        guard let device else {
            Glibc.close(descriptor)
            return
        }
        let connection: VhostConnection
        do {
            connection = try VhostConnection(
                descriptor, device: device, queuePairs: settings.queuePairs, mtu: settings.mtu)
        } catch {
            finish(VhostFault("\(error)"))
            return
        }
        self.connection = connection
        awaited = 0
        expect(EPOLLIN.rawValue, of: connection)
        loop.watch(connection.memoryFault, EPOLLIN.rawValue) { [weak self] _ in
            self?.whileConnected {
                $0.finish(VhostFault("the front-end cut its shared memory short"))
            }
        }
        loop.watch(device.faultDescriptor, EPOLLIN.rawValue) { [weak self] _ in
            self?.whileConnected {
                $0.connection?.session.deviceFaulted()
                $0.showConnection()
            }
        }
        showConnection()
    }

    private func expect(_ events: UInt32, of connection: VhostConnection) {
        guard events != awaited else { return }
        awaited = events
        loop.watch(connection.descriptor, events) { [weak self] _ in
            self?.whileConnected { $0.serve() }
        }
    }

    private func whileConnected(_ body: (VhostEndpoint) -> Void) {
        lock.withLock { _ in
            if connection != nil { body(self) }
        }
    }

    private func serve() {
        guard let connection else { return }
        switch connection.serve() {
        case .idle, .more:
            expect(EPOLLIN.rawValue, of: connection)
            showConnection()
        case .sending:
            expect(EPOLLOUT.rawValue, of: connection)
            showConnection()
        case .ended: finish(nil)
        case .refused(let fault): finish(fault)
        }
    }

    /// Parts with the front-end, and looks for the next.
    private func finish(_ fault: VhostFault?) {
        if connection?.hasServed == true, fault == nil { pause = VhostEndpoint.shortestPause }
        end()
        if let fault {
            show(.failed(fault.sentence))
        } else {
            show(.waiting(VhostEndpoint.waiting(settings)))
        }
        if !settings.isServer { connectLater() }
    }

    private func end() {
        guard let connection else { return }
        loop.unwatch(connection.descriptor)
        loop.unwatch(connection.memoryFault)
        if let device { loop.unwatch(device.faultDescriptor) }
        connection.session.end()
        self.connection = nil
    }

    // MARK: State

    private func showConnection() {
        guard let connection else { return }
        if let summary = connection.session.summary {
            show(.connected("\(connection.peer), \(summary)"))
        } else if let problem = connection.session.problem {
            show(.failed(problem))
        } else {
            show(.waiting("\(connection.peer) is connected, its driver is not running"))
        }
    }

    private static func waiting(_ settings: Settings) -> String {
        settings.isServer
            ? "waiting for a front-end at \(settings.path)"
            : "waiting for a front-end to listen at \(settings.path)"
    }

    private func show(_ state: PeerState) {
        let isNew = shown.withLock { shown in
            guard shown != state else { return false }
            shown = state
            return true
        }
        guard isNew else { return }
        // Not under the lock: whoever is told may ask, or close.
        loop.run { [onChange] in onChange(state) }
    }
}
