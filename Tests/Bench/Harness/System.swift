/// A switch under test, as something that can be started.
///
/// The bench makes the namespaces, sets addresses, MTU and queue lengths, and checks by ping that the
/// ports reach each other; a system only makes the switch and one device, of the given name, in each
/// port's namespace. Processes are started by `site.start`, which pins them to the switch's core.
protocol System: Sendable {
    /// In the table, such as "Open vSwitch".
    var name: String { get }
    /// The programs that it cannot do without: names in PATH, or paths.
    var programs: [String] { get }
    /// IP MTU of the ports' devices.
    var mtu: Int { get }
    /// Whether it is busy even when there is nothing to do, so that it has to be stopped while
    /// something else is measured on its core.
    var isPolling: Bool { get }
    /// Makes the switch. Its processes run until the bench stops them, last started first.
    func start(at site: Site) throws
}

extension System {
    var mtu: Int { 1500 }
    var isPolling: Bool { false }

    /// Why it cannot run here; nil when it can.
    var obstacle: String? { Program.obstacle(for: name, programs) }
}

/// Where a system is to be built.
final class Site {
    /// The switch's own network namespace.
    let namespace: Namespace
    /// Where each port's device belongs, and its name there.
    let ports: [SwitchPort]
    /// Private and empty, on a tmpfs.
    let directory: String
    let core: Int
    private(set) var processes: [Program] = []
    /// Further namespaces of the system's, which end with it.
    private(set) var others: [Namespace] = []
    /// What else has to live as long as the system.
    var resources: [AnyObject] = []

    init(namespace: Namespace, ports: [SwitchPort], directory: String, core: Int) {
        self.namespace = namespace
        self.ports = ports
        self.directory = directory
        self.core = core
    }

    /// Makes another network namespace, for a system that takes more than one host.
    func addNamespace() throws -> Namespace {
        let other = try Namespace.make("\(namespace.name)-host\(others.count + 2)")
        others.append(other)
        return other
    }

    /// Starts a process of the switch, pinned to its core.
    @discardableResult
    func start(_ arguments: [String], in namespace: Namespace? = nil) throws -> Program {
        let program = try Program(
            arguments, in: namespace ?? self.namespace, core: core,
            output: "\(directory)/\(processes.count)")
        processes.append(program)
        return program
    }

    /// Runs a command of the switch's configuration to its end.
    @discardableResult
    func run(_ arguments: [String], in namespace: Namespace? = nil) throws -> String {
        try Program.run(arguments, in: namespace ?? self.namespace)
    }

    /// Stops the switch's processes where they are, and lets them go on.
    func pause() { for process in processes { process.pause() } }
    func resume() { for process in processes { process.resume() } }

    func stop() {
        for process in processes.reversed() { process.stop() }
        processes = []
        resources = []
        for other in others { other.remove() }
        others = []
    }
}

/// A port of a switch, seen from the namespace that is attached to it.
struct SwitchPort: Sendable {
    let namespace: Namespace
    let device: String
    /// Of the device, without the prefix length.
    let address: String

    /// As the generator wants it.
    var place: String { "\(namespace.path):\(device)" }
}
