import Testing

@testable import Dataplane

@Suite("Every frame is accounted for")
struct ConservationTests {
    /// received = forwarded + flooded + consumed + Σ ingress drops, and
    /// copies = transmitted + Σ egress drops.
    static func check(_ fabric: Fabric, ports: Int) {
        for port in 0..<UInt16(ports) {
            var ingressDrops: UInt64 = 0
            var egressDrops: UInt64 = 0
            for reason in DropReason.allCases {
                if reason.isEgress {
                    egressDrops += fabric.value(reason, port: port)
                } else {
                    ingressDrops += fabric.value(reason, port: port)
                }
            }
            #expect(
                fabric.value(.received, port: port)
                    == fabric.value(.forwarded, port: port) + fabric.value(.flooded, port: port)
                    + fabric.value(.consumed, port: port) + ingressDrops)
            #expect(
                fabric.value(.copies, port: port)
                    == fabric.value(.transmitted, port: port) + egressDrops)
        }
    }

    /// The same for every network: what was classified to it, and what left it.
    static func checkDomains(_ fabric: Fabric, _ domains: ClosedRange<UInt16>) {
        for domain in domains {
            var ingressDrops: UInt64 = 0
            var egressDrops: UInt64 = 0
            for reason in DropReason.allCases {
                if reason.isEgress {
                    egressDrops += fabric.value(reason, domain: domain)
                } else {
                    ingressDrops += fabric.value(reason, domain: domain)
                }
            }
            #expect(
                fabric.value(.received, domain: domain)
                    == fabric.value(.forwarded, domain: domain)
                    + fabric.value(.flooded, domain: domain)
                    + fabric.value(.consumed, domain: domain) + ingressDrops)
            #expect(
                fabric.value(.copies, domain: domain)
                    == fabric.value(.transmitted, domain: domain) + egressDrops)
        }
    }

    @Test("on random switches under random frames", arguments: 0..<20)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let lab = TestSwitch(
            domains: (1...4).map { DomainConfiguration(number: $0, vid: $0 * 10) },
            fdbCapacity: 32)
        let portCount = Int.random(in: 6...12, using: &random)
        for _ in 0..<portCount {
            let isTrunk = Bool.random(using: &random)
            let domains = (1...4).filter { _ in Bool.random(using: &random) } as [UInt16]
            lab.add(
                isTrunk && !domains.isEmpty
                    ? .trunk(domains: domains, native: domains.randomElement(using: &random))
                    : .access(domain: UInt16.random(in: 1...4, using: &random)),
                isUp: Int.random(in: 0..<10, using: &random) > 0,
                isIsolated: Bool.random(using: &random), isSticky: Bool.random(using: &random),
                depth: 16, slotByteCount: 512)
        }
        var sent: UInt64 = 0
        for _ in 0..<2_000 {
            var bytes = frame(
                to: Bool.random(using: &random)
                    ? broadcast : host(UInt64.random(in: 0..<64, using: &random)),
                from: host(UInt64.random(in: 0..<64, using: &random)),
                tag: [nil, 0, 10, 20, 30, 40, 50, 0xFFF].randomElement(using: &random) ?? nil,
                payload: Int.random(in: 4...400, using: &random))
            if Int.random(in: 0..<8, using: &random) == 0 {
                bytes = Array(bytes.prefix(Int.random(in: 0...20, using: &random)))
            }
            var offload = Offload.none
            if Int.random(in: 0..<4, using: &random) == 0 {
                offload.flags = UInt8.random(in: 0...3, using: &random)
                offload.gsoType = [0, 1, 4, 5, 0x81, 3, 77].randomElement(using: &random) ?? 0
                offload.gsoSize = UInt16.random(in: 0...2000, using: &random)
                offload.checksumStart = UInt16.random(in: 0...100, using: &random)
                offload.checksumOffset = UInt16.random(in: 0...20, using: &random)
            }
            let port = Int.random(in: 0..<portCount, using: &random)
            if lab.ports[port].put(bytes, offload: offload) { sent += 1 }
            if Int.random(in: 0..<10, using: &random) == 0 { lab.run() }
            if Int.random(in: 0..<50, using: &random) == 0 {
                // Some readers come by now and then; the other ports' rings stay full.
                while lab.ports[port].take() != nil {}
            }
        }
        lab.run()
        let received = (0..<UInt16(portCount)).reduce(0) {
            $0 + lab.fabric.value(.received, port: $1)
        }
        #expect(received == sent)
        Self.check(lab.fabric, ports: portCount)
        Self.checkDomains(lab.fabric, 1...4)
        let transmitted = (0..<UInt16(portCount)).reduce(0) {
            $0 + lab.fabric.value(.transmitted, port: $1)
        }
        #expect(transmitted > 0)
    }
}
