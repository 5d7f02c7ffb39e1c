import Dataplane
import Dispatch

/// Ports that the switch takes down by itself for a while, because of a loop.
extension Controller {
    /// Keeps a port down for so long, unless it is down already. Returns at once: it may have to wait
    /// for an apply.
    ///
    /// - Parameters:
    ///   - reason: a clause that says why.
    ///   - other: the port by which its frames came back: hosts that seem to be behind it may be
    ///     elsewhere.
    func hold(_ number: UInt16, seconds: Int, reason: String, other: UInt16) {
        holds.async { [weak self] in self?.holdNow(number, seconds, reason, other) }
    }

    private func holdNow(_ number: UInt16, _ seconds: Int, _ reason: String, _ other: UInt16) {
        changes.withLock { _ in
            guard !isStopped else { return }
            let hold = LivePort.Hold(
                seconds: seconds, reason: reason,
                number: nextHold.add(1, ordering: .relaxed).newValue)
            let name = model.withLock { model -> String? in
                guard let place = model.ports.firstIndex(where: { $0.number == number }),
                    model.ports[place].spec.up, model.ports[place].hold == nil
                else { return nil }
                model.ports[place].hold = hold
                return model.ports[place].spec.name
            }
            guard let name else { return }
            publishAndWait()
            // What was heard through the loop is not there.
            for port in Set([number, other]) { fdbCommand(.flush(FDB.FlushPattern(port: port))) }
            watch.noteChange()
            log.warning("port '\(name)' is held down for \(seconds) s: \(reason)")
            journal.tell(
                SwitchEvent(
                    .portHeld, .warning, port: name,
                    "port '\(name)' is held down for \(seconds) s: \(reason)",
                    remedy: "cut the loop; the port comes back by itself"))
            holds.asyncAfter(deadline: .now() + .seconds(seconds)) { [weak self] in
                self?.release(hold, of: name)
            }
        }
    }

    private func release(_ hold: LivePort.Hold, of name: String) {
        changes.withLock { _ in
            guard !isStopped else { return }
            let wasHeld = model.withLock { model in
                guard let place = model.ports.firstIndex(where: { $0.spec.name == name }),
                    model.ports[place].hold == hold
                else { return false }
                model.ports[place].hold = nil
                return true
            }
            guard wasHeld else { return }
            publishAndWait()
            watch.noteChange()
            log.notice("port '\(name)' is no longer held down")
            journal.tell(
                SwitchEvent(
                    .portReleased, .notice, port: name,
                    "port '\(name)' is no longer held down; it is asked again whether it loops"))
        }
    }
}
