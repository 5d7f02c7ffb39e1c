import Foundation

/// A running system with its ports: what load is applied to.
///
/// Each port's device stands in a namespace of its own (or all in one), with the system's MTU
/// (1500, less where frames are encapsulated), a queue of 1000 frames and an address in
/// 10.77.0.0/16, whichever system made it. The rig is ready when its
/// first two ports have exchanged a ping, so that both ends know each other and the switch knows
/// both.
final class Rig {
    let system: any System
    let ports: [SwitchPort]
    private let site: Site
    private let namespaces: [Namespace]

    static let queueLength = 1000

    /// - Parameter sharing: all ports in one namespace, for when there are hundreds of them.
    init(of system: any System, ports count: Int, core: Int, number: Int, sharing: Bool) throws {
        if let obstacle = system.obstacle { throw NotMeasured(obstacle) }
        self.system = system
        let directory = "/run/heddle-bench/\(number)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let home = try Namespace.make("s\(number)")
        var places: [Namespace] = []
        for index in 0..<(sharing ? 1 : count) {
            places.append(try Namespace.make("s\(number)-\(index)"))
        }
        namespaces = [home] + places
        ports = (0..<count).map { index in
            SwitchPort(
                namespace: places[sharing ? 0 : index], device: "bench\(index)",
                address: "10.77.\(index / 250).\(index % 250 + 1)")
        }
        site = Site(namespace: home, ports: ports, directory: directory, core: core)
        do {
            try system.start(at: site)
            try bringUp(sharing: sharing)
        } catch {
            stop()
            throw NotMeasured("\(system.name) did not start: \(error)")
        }
    }

    /// The switch's processes; none for what lives in the kernel.
    var processes: [pid_t] { site.processes.map(\.processID) }

    /// The namespaces that the system made besides its own, such as another host.
    var others: [Namespace] { site.others }
    /// What the system keeps besides its processes.
    var resources: [AnyObject] { site.resources }
    /// Where the system's files are, such as its sockets.
    var directory: String { site.directory }

    /// Takes a system that never rests off its core, and puts it back. It begins there.
    func pause() { if system.isPolling { site.pause() } }
    func resume() { if system.isPolling { site.resume() } }

    func stop() {
        site.stop()
        for namespace in namespaces { namespace.remove() }
        try? FileManager.default.removeItem(atPath: site.directory)
    }

    /// That the switch still runs; a trial in which it died is no trial.
    func check() throws {
        for process in site.processes where process.exitCode != nil {
            throw NotMeasured("\(system.name) ended: \(process.errors)")
        }
    }

    private func bringUp(sharing: Bool) throws {
        for port in ports {
            guard port.namespace.hasDevice(port.device) else {
                throw NotMeasured("namespace \(port.namespace.name) got no \(port.device)")
            }
        }
        for namespace in sharing ? [ports[0].namespace] : ports.map(\.namespace) {
            try namespace.configure(
                ports.filter { $0.namespace.name == namespace.name }.flatMap { port in
                    [
                        "link set \(port.device) mtu \(system.mtu) txqueuelen \(Self.queueLength) up",
                        "address replace \(port.address)/16 dev \(port.device)",
                    ]
                })
        }
        guard ports.count > 1, !sharing else { return }
        var attempts = 0
        while true {
            do {
                try Program.run(
                    ["ping", "-q", "-c", "2", "-i", "0.05", "-W", "1", ports[1].address],
                    in: ports[0].namespace)
                return
            } catch {
                attempts += 1
                guard attempts < 5 else { throw error }
            }
        }
    }
}
