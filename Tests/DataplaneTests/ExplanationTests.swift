import TestSupport
import Testing
import Wire

@testable import Dataplane

@Suite("An explanation tells what a worker then does")
struct ExplanationTests {
    /// What the counters of a switch say of one port's ingress.
    private struct Counts: Equatable {
        var forwarded: UInt64
        var flooded: UInt64
        var drops: [DropReason: UInt64] = [:]

        init(_ fabric: Fabric, _ port: UInt16) {
            forwarded = fabric.value(.forwarded, port: port)
            flooded = fabric.value(.flooded, port: port)
            for reason in DropReason.allCases where !reason.isEgress {
                let count = fabric.value(reason, port: port)
                if count > 0 { drops[reason] = count }
            }
        }

        mutating func count(_ verdict: Verdict) {
            switch verdict.action {
            case .forward: forwarded += 1
            case .flood: flooded += 1
            case .drop: drops[verdict.reason, default: 0] += 1
            case .consume: break
            }
        }
    }

    private func explain(
        _ bytes: [UInt8], _ offload: Offload, _ port: UInt16, _ fabric: Fabric, at time: UInt64
    ) -> Explanation {
        bytes.withUnsafeBytes {
            Explanation(
                of: $0, offload: offload, ingress: port, snapshot: fabric.cell.load(),
                fdb: fabric.fdb, isOwner: true, now: Worker.tick(time))
        }
    }

    @Test(
        "on random switches, for random frames: verdict, learning and every copy",
        arguments: 0..<20)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let lab = TestSwitch(
            domains: (1...4).map {
                DomainConfiguration(number: $0, vid: $0 * 10, mtu: [300, 1500][Int($0) % 2])
            }, fdbCapacity: 64)
        let portCount = Int.random(in: 4...10, using: &random)
        for _ in 0..<portCount {
            let domains = (1...4).filter { _ in Bool.random(using: &random) } as [UInt16]
            lab.add(
                Bool.random(using: &random) && !domains.isEmpty
                    ? .trunk(
                        domains: domains,
                        native: Bool.random(using: &random)
                            ? domains.randomElement(using: &random) : nil)
                    : .access(domain: UInt16.random(in: 1...4, using: &random)),
                isUp: Int.random(in: 0..<10, using: &random) > 0,
                isIsolated: Bool.random(using: &random), isSticky: Bool.random(using: &random),
                offloads: [[], .checksum, .all].randomElement(using: &random) ?? [], depth: 64,
                slotByteCount: 16_384)
        }
        for port in 0..<UInt16(portCount) where Bool.random(using: &random) {
            lab.command(.addStatic(FDBKey(domain: 1, address: host(60 + UInt64(port))), port: port))
        }
        for _ in 0..<400 {
            var (bytes, offload) = randomFrame(&random)
            if Int.random(in: 0..<16, using: &random) == 0 {
                bytes = Array(bytes.prefix(Int.random(in: 0...20, using: &random)))
            }
            if Int.random(in: 0..<16, using: &random) == 0 { offload.gsoSize = 0 }
            let port = UInt16.random(in: 0..<UInt16(portCount), using: &random)
            let told = explain(bytes, offload, port, lab.fabric, at: lab.time)
            var expected = Counts(lab.fabric, port)
            expected.count(told.verdict)
            let outputs = lab.outputs(bytes, into: port, offload: offload)
            #expect(Counts(lab.fabric, port) == expected, "\(told)")
            check(told, outputs)
            if told.verdict.learning != .none {
                #expect(
                    lab.learnedPort(told.source.rawValue, domain: told.verdict.domain) == port)
            }
            if Int.random(in: 0..<40, using: &random) == 0 { lab.advance(seconds: 200) }
        }
    }

    private func randomFrame(_ random: inout SeededGenerator) -> (bytes: [UInt8], offload: Offload)
    {
        let tag = ([nil, 0, 10, 20, 30, 40, 50, 0xFFF] as [UInt16?]).randomElement(using: &random)
        if Int.random(in: 0..<8, using: &random) == 0 {
            return EgressOffloadTests.superFrame(tag: tag ?? nil)
        }
        let bytes = frame(
            to: Int.random(in: 0..<4, using: &random) == 0
                ? broadcast : host(UInt64.random(in: 50..<80, using: &random)),
            from: host(UInt64.random(in: 50..<80, using: &random)), tag: tag ?? nil,
            payload: Int.random(in: 4...400, using: &random))
        return (bytes, .none)
    }

    /// Compares the copies that were told with the frames that came out.
    private func check(
        _ told: Explanation, _ outputs: [(port: UInt16, frame: [UInt8], offload: Offload)]
    ) {
        var expected: [UInt16: Int] = [:]
        var tags: [UInt16: UInt16] = [:]
        for copy in told.copies {
            guard case .sent(let frames, _) = copy.outcome else { continue }
            expected[copy.port] = frames
            tags[copy.port] = copy.vid
        }
        var found: [UInt16: Int] = [:]
        for output in outputs {
            found[output.port, default: 0] += 1
            let vid =
                output.frame[12] == 0x81 && output.frame[13] == 0
                ? UInt16(output.frame[14] & 0xF) << 8 | UInt16(output.frame[15]) : 0
            #expect(vid == tags[output.port])
        }
        #expect(found == expected, "\(told)")
    }

    @Test("changes neither table nor counters")
    func pure() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        let bytes = frame(to: broadcast, from: host(1))
        for _ in 0..<3 {
            let told = explain(bytes, .none, 0, lab.fabric, at: lab.time)
            #expect(told.verdict.learning == .learn)
            #expect(told.copies.map(\.port) == [1])
        }
        #expect(lab.fabric.fdb.learnedCount == 0)
        #expect(lab.fabric.value(.received, port: 0) == 0)
    }

    @Test("says why members of a network get no copy")
    func leftOut() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        lab.add(.access(domain: 1), isIsolated: true)
        lab.add(.access(domain: 1), isIsolated: true)
        lab.add(.access(domain: 1), isUp: false)
        lab.add(.access(domain: 1))
        let told = explain(
            frame(to: broadcast, from: host(1)), .none, 0, lab.fabric, at: lab.time)
        #expect(told.copies.map(\.port) == [3])
        #expect(
            told.leftOut == [
                Explanation.LeftOut(port: 0, reason: .ingress),
                Explanation.LeftOut(port: 1, reason: .isolated),
                Explanation.LeftOut(port: 2, reason: .down),
            ])
    }

    @Test(
        "of tunnels: what is encapsulated, what does not fit, and what a tunnel sends on",
        arguments: 0..<8)
    func tunnels(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let blue = DomainConfiguration(number: 1, vid: 10, mtu: 9000, vni: 10_010)
        let lab = OverlayLab(hosts: 3, domains: [blue])
        lab.add(.access(domain: 1), to: 0)
        lab.add(.access(domain: 1), to: 0)
        for other in 1...2 { lab.add(.access(domain: 1), to: other) }
        for other in 1...2 {
            _ = lab.send(
                frame(to: broadcast, from: host(UInt64(10 + other))), into: 0, of: other)
        }
        let fabric = lab.hosts[0].fabric
        for _ in 0..<100 {
            let bytes = frame(
                to: [broadcast, host(11), host(12), host(13)].randomElement(using: &random)
                    ?? broadcast,
                from: host(1), payload: Int.random(in: 1300...1600, using: &random))
            let told = explain(bytes, .none, 0, fabric, at: lab.time)
            let tunnelDrops = (1...2).map {
                fabric.value(.overlayMTU, port: OverlayLab.tunnel(to: $0))
            }
            let arrived = lab.send(bytes, into: 0, of: 0)
            for other in 1...2 {
                let tunnel = OverlayLab.tunnel(to: other)
                let copy = told.copies.first { $0.port == tunnel }
                let dropped = fabric.value(.overlayMTU, port: tunnel) - tunnelDrops[other - 1]
                switch copy?.outcome {
                case .encapsulated(let kind, let vni, let remote, let datagrams, _):
                    #expect(kind == .vxlan && vni == 10_010 && datagrams == 1)
                    #expect(remote == OverlayLab.address(of: other))
                    #expect(arrived.contains { $0.host == other } && dropped == 0)
                case .dropped(let reason, let limit):
                    #expect(reason == .overlayMTU && limit == 1450)
                    #expect(dropped == 1)
                case .sent: Issue.record("a tunnel sends nothing as it is")
                case nil: #expect(dropped == 0 && !arrived.contains { $0.host == other })
                }
            }
        }
        // What came by a tunnel goes to ports, and into no other tunnel.
        let told = frame(to: broadcast, from: host(11)).withUnsafeBytes {
            Explanation(
                of: $0, ingress: OverlayLab.tunnel(to: 1), domain: 1,
                snapshot: fabric.cell.load(), fdb: fabric.fdb, isOwner: true,
                now: Worker.tick(lab.time))
        }
        #expect(told.copies.map(\.port) == [0, 1])
        #expect(
            told.leftOut.contains(
                Explanation.LeftOut(port: OverlayLab.tunnel(to: 2), reason: .splitHorizon)))
    }
}
