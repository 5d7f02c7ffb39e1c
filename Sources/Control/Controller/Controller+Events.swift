import ControlAPI
import Dispatch
import Topology

/// What the controller tells the journal, and what is asked of it.
extension Controller {
    package func events(
        since: UInt64, kind: EventKind?, wait: Double
    ) throws(ServiceError) -> EventList {
        journal.events(since: since, kind: kind, wait: wait)
    }

    package func eventTotals() throws(ServiceError) -> [EventKind: UInt64] { journal.totals }

    /// Ports that come or go in one change are told one by one up to this number.
    private static let singleEventLimit = 64

    // MARK: Changes

    func noteApply(_ plan: Plan, of name: String, since began: DispatchTime) {
        guard !plan.isEmpty else { return }
        let elapsed = DispatchTime.now().uptimeNanoseconds - began.uptimeNanoseconds
        journal.tell(
            SwitchEvent(
                .apply, .notice,
                "'\(name)' was applied in \(elapsed / 1_000_000) ms: \(plan.summary)",
                identity: "\(name): \(plan.summary)"))
    }

    func noteRollback(_ lines: [String]) {
        journal.tell(
            SwitchEvent(
                .rollback, .error, "a change failed: " + lines.joined(separator: "; "),
                remedy: "remove the cause that it names and try again"))
    }

    /// Tells what a change has made of ports and tunnels.
    func noteChange(from before: SwitchModel, to after: SwitchModel) {
        watch.noteChange()
        let old = Dictionary(
            before.ports.map { ($0.spec.name, $0) }, uniquingKeysWith: { first, _ in first })
        let new = Dictionary(
            after.ports.map { ($0.spec.name, $0) }, uniquingKeysWith: { first, _ in first })
        let gone = before.ports.filter { new[$0.spec.name] == nil }
        note(gone.map(\.spec.name), .portDetached, "detached") { name in
            "port '\(name)' is detached"
        }
        let added = after.ports.filter { old[$0.spec.name] == nil }
        note(added.map(\.spec.name), .portAttached, "attached") { [self] name in
            guard let port = new[name] else { return "port '\(name)' is attached" }
            let (_, reason) = state(of: port)
            return "port '\(name)' is attached to "
                + port.spec.membership.networks.joined(separator: ", ")
                + (reason.map { "; it is down: \($0)" } ?? "")
        }
        for port in after.ports {
            guard let known = old[port.spec.name] else { continue }
            let (was, now) = (state(of: known), state(of: port))
            if was.0 != now.0 || was.1 != now.1 { noteState(of: port) }
        }
        let ways = Dictionary(
            before.tunnels.map { ($0.spec.name, $0.reason) },
            uniquingKeysWith: { first, _ in first }
        )
        for tunnel in after.tunnels where ways[tunnel.spec.name] != .some(tunnel.reason) {
            noteState(of: tunnel)
        }
        for tunnel in before.tunnels where after.tunnel(named: tunnel.spec.name) == nil {
            journal.tell(
                SwitchEvent(
                    .tunnelDown, .notice, tunnel: tunnel.spec.name,
                    "tunnel '\(tunnel.spec.name)' is removed"))
        }
    }

    private func note(
        _ names: [String], _ kind: EventKind, _ word: String, _ sentence: (String) -> String
    ) {
        for name in names.prefix(Controller.singleEventLimit) {
            journal.tell(SwitchEvent(kind, .notice, port: name, sentence(name)))
        }
        let rest = names.count - Controller.singleEventLimit
        guard rest > 0 else { return }
        journal.tell(SwitchEvent(kind, .notice, "\(rest) more ports are \(word)", identity: "more"))
    }

    // MARK: States

    func noteState(of port: LivePort) {
        watch.noteChange()
        let name = port.spec.name
        let (_, reason) = state(of: port)
        guard let reason else {
            journal.tell(SwitchEvent(.portUp, .notice, port: name, "port '\(name)' is up"))
            return
        }
        // What somebody declared is as it should be.
        let isWanted = !port.spec.up
        journal.tell(
            SwitchEvent(
                .portDown, isWanted ? .notice : .warning, port: name,
                "port '\(name)' is down: \(reason)"))
    }

    func noteState(of tunnel: LiveTunnel) {
        let name = tunnel.spec.name
        guard let reason = tunnel.reason else {
            journal.tell(SwitchEvent(.tunnelUp, .notice, tunnel: name, "tunnel '\(name)' is up"))
            return
        }
        journal.tell(
            SwitchEvent(
                .tunnelDown, .warning, tunnel: name, "tunnel '\(name)' is down: \(reason)",
                remedy: "'heddle tunnel show \(name)' has the way as the kernel sees it"))
    }
}
