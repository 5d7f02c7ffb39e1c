import Foundation

/// A running switch for virtual machines, and its guests: what load is applied to.
///
/// The switch has one core, the thread that plays the guests has the other. The rig is ready when
/// frames have arrived at each of its first two ports.
final class VhostRig {
    let system: any VhostSystem
    let guests: Guests
    private let site: Site

    init(
        of system: any VhostSystem, guests setup: Guests.Setup, program: String, core: Int,
        guestCore: Int, number: Int
    ) throws {
        let needed = system.programs + [program]
        if let obstacle = Program.obstacle(for: system.name, needed) {
            throw NotMeasured(obstacle)
        }
        self.system = system
        let directory = "/run/heddle-bench/\(number)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let site = Site(
            namespace: try Namespace.make("s\(number)"), ports: [], directory: directory,
            core: core)
        self.site = site
        let sockets = (0..<setup.ports).map { system.socket($0, in: directory) }
        do {
            try system.start(at: site, sockets: sockets)
            guests = try Guests(
                setup, program: program, sockets: sockets, core: guestCore,
                output: "\(directory)/guests")
        } catch {
            Self.stop(site)
            throw NotMeasured("\(system.name) did not start: \(error)")
        }
        do {
            try guests.greet(seconds: system.settlingSeconds)
        } catch {
            guests.stop()
            Self.stop(site)
            throw NotMeasured("\(system.name) does not forward: \(error)")
        }
        pause()
    }

    /// The switch's processes.
    var processes: [pid_t] { site.processes.map(\.processID) }

    /// Takes a system that never rests off its core, and puts it back. It begins off it.
    func pause() { if system.isPolling { site.pause() } }
    func resume() { if system.isPolling { site.resume() } }

    /// A trial, during which the system has its core.
    func measure(_ trial: (VhostRig) throws -> Trial) throws -> Trial {
        resume()
        defer { pause() }
        let result = try trial(self)
        for process in site.processes where process.exitCode != nil {
            throw NotMeasured("\(system.name) ended: \(process.errors)")
        }
        return result
    }

    func stop() {
        // What is stopped answers no guest that leaves.
        resume()
        guests.stop()
        Self.stop(site)
    }

    private static func stop(_ site: Site) {
        site.stop()
        site.namespace.remove()
        try? FileManager.default.removeItem(atPath: site.directory)
    }
}
