import Dataplane

/// What the counters of a port's or a domain's number read when the number got its present owner.
///
/// The dataplane counts by number and never sets back: only the workers may write there. A port that
/// gets the number of one that is gone begins at zero because this is taken away.
struct CounterOrigins: Sendable {
    private struct Place: Hashable {
        enum Kind { case portCounter, portDrop, domainCounter, domainDrop }
        let kind: Kind
        let number: UInt16
        let counter: Int
    }

    private var readings: [Place: UInt64] = [:]

    mutating func begin(port: UInt16, _ fabric: Fabric) {
        for counter in PortCounter.allCases {
            note(.portCounter, port, counter.rawValue, fabric.value(counter, port: port))
        }
        for reason in DropReason.allCases {
            note(.portDrop, port, Int(reason.rawValue), fabric.value(reason, port: port))
        }
    }

    mutating func begin(domain: UInt16, _ fabric: Fabric) {
        for counter in DomainCounter.allCases {
            note(.domainCounter, domain, counter.rawValue, fabric.value(counter, domain: domain))
        }
        for reason in DropReason.allCases {
            note(.domainDrop, domain, Int(reason.rawValue), fabric.value(reason, domain: domain))
        }
    }

    private mutating func note(
        _ kind: Place.Kind, _ number: UInt16, _ counter: Int, _ reading: UInt64
    ) {
        readings[Place(kind: kind, number: number, counter: counter)] = reading > 0 ? reading : nil
    }

    private func origin(_ kind: Place.Kind, _ number: UInt16, _ counter: Int) -> UInt64 {
        readings[Place(kind: kind, number: number, counter: counter)] ?? 0
    }

    func origin(_ counter: PortCounter, port: UInt16) -> UInt64 {
        origin(.portCounter, port, counter.rawValue)
    }

    func origin(_ reason: DropReason, port: UInt16) -> UInt64 {
        origin(.portDrop, port, Int(reason.rawValue))
    }

    func origin(_ counter: DomainCounter, domain: UInt16) -> UInt64 {
        origin(.domainCounter, domain, counter.rawValue)
    }

    func origin(_ reason: DropReason, domain: UInt16) -> UInt64 {
        origin(.domainDrop, domain, Int(reason.rawValue))
    }
}

extension Controller {
    /// The number begins to mean another port.
    func beginCounting(port: UInt16) { origins.withLock { $0.begin(port: port, fabric) } }

    /// The number begins to mean another network.
    func beginCounting(domain: UInt16) { origins.withLock { $0.begin(domain: domain, fabric) } }

    func value(_ counter: PortCounter, port: UInt16) -> UInt64 {
        fabric.value(counter, port: port) &- origins.withLock { $0.origin(counter, port: port) }
    }

    func value(_ reason: DropReason, port: UInt16) -> UInt64 {
        fabric.value(reason, port: port) &- origins.withLock { $0.origin(reason, port: port) }
    }

    func value(_ counter: DomainCounter, domain: UInt16) -> UInt64 {
        fabric.value(counter, domain: domain)
            &- origins.withLock { $0.origin(counter, domain: domain) }
    }

    func value(_ reason: DropReason, domain: UInt16) -> UInt64 {
        fabric.value(reason, domain: domain)
            &- origins.withLock { $0.origin(reason, domain: domain) }
    }
}
