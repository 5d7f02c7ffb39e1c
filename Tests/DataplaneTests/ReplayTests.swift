import Testing

@testable import Dataplane

@Suite("A replay decides as a worker does")
struct ReplayTests {
    @Test("the same frames, the same verdicts, from the first bytes alone", arguments: 0..<10)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let domains: [DomainConfiguration] = (1...3).map {
            DomainConfiguration(number: $0, vid: $0 * 10, mtu: 300)
        }
        let lab = TestSwitch(domains: domains, fdbCapacity: 1024)
        var ports: [PortConfiguration] = []
        for number in 0..<UInt16(6) {
            let membership: PortConfiguration.Membership =
                number < 4
                ? .access(domain: number % 3 + 1) : .trunk(domains: [1, 2, 3], native: 1)
            let isIsolated = Bool.random(using: &random)
            lab.add(membership, isIsolated: isIsolated)
            ports.append(
                PortConfiguration(
                    number: number, membership: membership, isIsolated: isIsolated,
                    port: lab.ports[Int(number)]))
        }
        let replay = Replay(
            DataplaneConfiguration(domains: domains, ports: ports), fdbLimit: 1024,
            ageingSeconds: 300)
        for _ in 0..<1000 {
            let bytes = frame(
                to: Int.random(in: 0..<4, using: &random) == 0
                    ? broadcast : host(UInt64.random(in: 0..<12, using: &random)),
                from: host(UInt64.random(in: 0..<12, using: &random)),
                tag: ([nil, 0, 10, 20, 40] as [UInt16?]).randomElement(using: &random) ?? nil,
                payload: Int.random(in: 46...400, using: &random))
            let port = UInt16.random(in: 0..<6, using: &random)
            replay.advance(toNanoseconds: lab.time)
            let decision = bytes.prefix(64).withUnsafeBytes {
                replay.decide($0, originalByteCount: UInt32(bytes.count), ingress: port)
            }
            let outputs = lab.send(bytes, into: port)
            switch decision.verdict.action {
            case .forward: #expect(outputs == [decision.verdict.egress])
            case .flood: #expect(outputs == replay.flooded(decision, ingress: port))
            case .drop, .consume: #expect(outputs.isEmpty)
            }
            #expect(replay.fdb.learnedCount == lab.fabric.fdb.learnedCount)
            if Int.random(in: 0..<100, using: &random) == 0 { lab.advance(seconds: 301) }
        }
    }

    @Test("a super-frame's segments are taken to fit, and time does not go back")
    func superFrame() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        let replay = Replay(
            lab.fabric.cell.load().configuration, fdbLimit: 16, ageingSeconds: 300)
        let head = frame(to: broadcast, from: host(1))
        for (isSuperFrame, reason) in [(false, DropReason.oversize), (true, .none)] {
            let decision = head.withUnsafeBytes {
                replay.decide(
                    $0, originalByteCount: 60_000, ingress: 0, isSuperFrame: isSuperFrame)
            }
            #expect(decision.verdict.reason == reason)
        }
        replay.advance(toNanoseconds: 5_000_000_000)
        replay.advance(toNanoseconds: 1_000_000_000)
        #expect(replay.now == 50)
    }
}
