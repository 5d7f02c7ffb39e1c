import Dataplane

/// What an apply means for the FDB: settings, entries to forget, limits, static entries.
///
/// It follows the new configuration instead of going with it: until the flush a frame to a port that
/// left is dropped as `not-member`. Each command waits for the FDB's owner.
struct FDBUpdate {
    let before: SwitchModel
    let after: SwitchModel
    let flushes: [FDB.FlushPattern]

    func carryOut(on controller: Controller) {
        let fdb = controller.fabric.fdb
        fdb.setAgeing(ticks: UInt32(after.bridge.ageingSeconds) * FDB.ticksPerSecond)
        fdb.setLimit(after.bridge.fdbLimit)
        for pattern in flushes { controller.fdbCommand(.flush(pattern)) }
        for tunnel in after.tunnels {
            // The other host's switch bounds what each of its ports may learn.
            controller.fdbCommand(
                .setPortLimit(UInt32(after.bridge.fdbLimit), port: tunnel.number))
        }
        for port in after.ports {
            let limit = UInt32(port.spec.fdbLimit ?? after.bridge.portFDBLimit)
            controller.fdbCommand(.setPortLimit(limit, port: port.number))
        }
        // A network that goes takes its entry along, as a flush by its domain includes static ones.
        for (name, domain) in after.domains where before.domains[name] != domain {
            controller.fdbCommand(
                .addStatic(
                    FDBKey(domain: domain, address: controller.watch.ownAddress),
                    port: PortNumber.switchItself))
        }
        let wanted = after.wantedStaticEntries
        let numbers = Dictionary(
            after.countedNames.map { ($0.name, $0.number) }, uniquingKeysWith: { first, _ in first }
        )
        for entry in before.wantedStaticEntries.subtracting(wanted) {
            guard let domain = after.domains[entry.network] else { continue }
            controller.fdbCommand(.delete(FDBKey(domain: domain, address: entry.address)))
        }
        // All wanted ones, not the new ones: a flush of a port that came back took its entries along.
        for entry in wanted {
            guard let domain = after.domains[entry.network], let number = numbers[entry.port]
            else { continue }
            controller.fdbCommand(
                .addStatic(FDBKey(domain: domain, address: entry.address), port: number))
        }
    }
}
