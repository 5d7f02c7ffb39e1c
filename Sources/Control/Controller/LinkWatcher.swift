import CLinux
import Glibc
import Logging
import Netlink
import Synchronization

/// One thread that follows the kernel's link events in every namespace that ports use.
///
/// A netlink socket hears its own namespace only, so there is one per namespace, opened on a thread
/// inside it. `watch` gives the wanted set; sockets that are no longer wanted are closed.
final class LinkWatcher: @unchecked Sendable {
    // @unchecked: `sources` is guarded by its lock; the thread polls descriptors of a copy that it
    // retains.

    enum Event {
        case changed(Link)
        case removed(index: Int32)
        case overrun
    }

    private struct Source {
        /// Nil for the switch's own namespace.
        let namespace: String?
        let identity: NetworkNamespace.Identity?
        let events: LinkEvents
    }

    private let log: Logger
    private let lock = Mutex<Void>(())
    private var sources: [Source] = []
    private let wakeDescriptor: Int32
    private let isStopping = Atomic<Bool>(false)
    private var thread: pthread_t?
    private var handler: (@Sendable (String?, Event) -> Void)?

    init(log: Logger) throws(SystemError) {
        self.log = log
        wakeDescriptor = try check(
            eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)), "make an eventfd")
    }

    deinit { close(wakeDescriptor) }

    /// Starts the thread; events go to `handler`, on that thread.
    func start(_ handler: @escaping @Sendable (String?, Event) -> Void) {
        self.handler = handler
        var created = pthread_t()
        let box = Unmanaged.passRetained(self)
        let status = pthread_create(
            &created, nil,
            { argument in
                guard let argument else { return nil }
                let watcher = Unmanaged<LinkWatcher>.fromOpaque(argument).takeRetainedValue()
                _ = clinux_set_thread_name("heddle-links")
                watcher.run()
                return nil
            }, box.toOpaque())
        if status == 0 {
            thread = created
        } else {
            box.release()
            log.error("cannot follow link events: no thread: \(String(cString: strerror(status)))")
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake()
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    /// Watches the namespaces of the model's ports, and no others.
    func watch(_ model: SwitchModel) {
        var wanted: [String?: NetworkNamespace?] = [:]
        for port in model.ports {
            guard let device = port.device else { continue }
            wanted[port.spec.namespace] = .some(device.namespace)
        }
        lock.withLock { _ in
            sources.removeAll { source in
                guard let found = wanted[source.namespace] else { return true }
                return found?.identity != source.identity
            }
            for (name, namespace) in wanted
            where !sources.contains(where: { $0.namespace == name }) {
                do {
                    let events: LinkEvents
                    if let namespace {
                        events = try namespace.run { try LinkEvents() }
                    } else {
                        events = try LinkEvents()
                    }
                    sources.append(
                        Source(namespace: name, identity: namespace?.identity, events: events))
                } catch {
                    log.warning(
                        "cannot follow devices\(name.map { " in namespace '\($0)'" } ?? ""): \(error)"
                    )
                }
            }
        }
        wake()
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    private func run() {
        while !isStopping.load(ordering: .acquiring) {
            let current = lock.withLock { _ in sources }
            var polled = current.map {
                pollfd(fd: $0.events.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            }
            polled.append(pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0))
            guard poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
            var value: UInt64 = 0
            _ = read(wakeDescriptor, &value, 8)
            for (place, source) in current.enumerated() where polled[place].revents != 0 {
                deliver(source)
            }
        }
    }

    private func deliver(_ source: Source) {
        do {
            for event in try source.events.drain() {
                switch event {
                case .changed(let link): handler?(source.namespace, .changed(link))
                case .removed(let index, _): handler?(source.namespace, .removed(index: index))
                case .overrun: handler?(source.namespace, .overrun)
                }
            }
        } catch {
            log.warning("link events: \(error)")
            lock.withLock { _ in sources.removeAll { $0.events === source.events } }
        }
    }
}
