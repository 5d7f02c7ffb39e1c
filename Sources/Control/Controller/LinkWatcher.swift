import Glibc
import Logging
import Netlink
import Synchronization

/// One thread that follows the kernel's link events in every namespace that ports use, and in the
/// switch's own, where devices may ask to be ports.
///
/// A netlink socket hears its own namespace only, so there is one per namespace, opened on a thread
/// inside it. `watch` gives the wanted set; sockets that are no longer wanted are closed. A new one
/// begins with an `overrun`: what happened before it was open is for its receiver to look up.
final class LinkWatcher: @unchecked Sendable {
    // @unchecked: `sources` is guarded by its lock; the thread polls descriptors of a copy that it
    // retains.

    enum Event {
        case changed(Link)
        case removed(index: Int32)
        case overrun
        /// No more for now.
        case settled
    }

    private struct Source {
        /// Nil for the switch's own namespace.
        let namespace: String?
        let identity: NetworkNamespace.Identity?
        let events: LinkEvents
        var isNew = true
    }

    private let log: Logger
    private let lock = Mutex<Void>(())
    private var sources: [Source] = []
    private let waker: WakeDescriptor
    private let isStopping = Atomic<Bool>(false)
    private let looksAround = Atomic<Bool>(false)
    private static let lookMilliseconds: Int32 = 500
    private var thread: NamedThread?
    private var handler: (@Sendable (String?, Event) -> Void)?

    init(log: Logger) throws(SystemError) {
        self.log = log
        waker = try WakeDescriptor()
    }

    /// Starts the thread; events go to `handler`, on that thread.
    func start(_ handler: @escaping @Sendable (String?, Event) -> Void) {
        self.handler = handler
        do {
            thread = try NamedThread("heddle-links") { self.run() }
        } catch {
            log.error("cannot follow link events: \(error)")
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        waker.signal()
        thread?.join()
        thread = nil
    }

    /// Says `settled` of the switch's own namespace twice a second, whatever happens there: the
    /// kernel does not tell when a device that is down gets another alias.
    func lookAround(_ isWanted: Bool) {
        guard looksAround.exchange(isWanted, ordering: .relaxed) != isWanted, isWanted else {
            return
        }
        waker.signal()
    }

    /// Watches the namespaces of the model's ports, and no others.
    func watch(_ model: SwitchModel) {
        var wanted: [String?: NetworkNamespace?] = [:]
        wanted.updateValue(nil, forKey: nil)
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
        waker.signal()
    }

    private func run() {
        while !isStopping.load(ordering: .acquiring) {
            let current = lock.withLock { _ in
                defer { for place in sources.indices { sources[place].isNew = false } }
                return sources
            }
            for source in current where source.isNew {
                handler?(source.namespace, .overrun)
                handler?(source.namespace, .settled)
            }
            var polled = current.map {
                pollfd(fd: $0.events.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            }
            polled.append(pollfd(fd: waker.descriptor.rawValue, events: Int16(POLLIN), revents: 0))
            let timeout = looksAround.load(ordering: .relaxed) ? LinkWatcher.lookMilliseconds : -1
            let count = poll(&polled, nfds_t(polled.count), timeout)
            if count == 0 { handler?(nil, .settled) }
            guard count > 0 else { continue }
            waker.clear()
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
            handler?(source.namespace, .settled)
        } catch {
            log.warning("link events: \(error)")
            lock.withLock { _ in sources.removeAll { $0.events === source.events } }
        }
    }
}
