import Testing

@testable import Dataplane

@Suite("Reconfiguration and capture between bursts")
struct SnapshotAndCaptureTests {
    @Test("a hundred configurations pass without loss on the ports that they do not touch")
    func reconfigure() {
        let lab = TestSwitch(domains: [
            DomainConfiguration(number: 1, vid: 10), DomainConfiguration(number: 2, vid: 20),
        ])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        _ = lab.send(frame(to: host(1), from: host(2)), into: 1)
        _ = lab.send(frame(to: host(2), from: host(1)), into: 0)
        var received = 0
        for round in 0..<100 {
            _ = lab.ports[0].put(frame(to: host(2), from: host(1), mark: UInt32(round)))
            if round % 2 == 0 {
                lab.add(.access(domain: 2))
            } else {
                lab.remove(UInt16(lab.ports.count - 1))
            }
            lab.run()
            while lab.ports[1].take() != nil { received += 1 }
        }
        #expect(received == 100)
        #expect(lab.fabric.links[0].reportedGeneration.load(ordering: .relaxed) == 102)
        #expect(lab.fabric.isAdopted(102) && !lab.fabric.isAdopted(103))
    }

    @Test("a capture sees frames as received and as transmitted, cut to its snap length")
    func capture() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        let access = lab.add(.access(domain: 1))
        let trunk = lab.add(.trunk(domains: [1], native: nil))
        lab.add(.access(domain: 1))
        let tap = CaptureTap(ports: [access, trunk], snapLength: 24, workers: 1)
        lab.publish(captures: [tap])
        let sent = frame(to: broadcast, from: host(1), mark: 5)
        _ = lab.send(sent, into: access)
        var records: [(port: UInt16, isEgress: Bool, original: UInt32, bytes: [UInt8])] = []
        while tap.rings[0].consume({ record, bytes in
            records.append(
                (record.port, record.point == .egress, record.originalByteCount, Array(bytes)))
        }) {}
        #expect(records.count == 2)
        #expect(records.first?.port == access && records.first?.isEgress == false)
        #expect(records.first?.bytes == Array(sent.prefix(24)))
        #expect(records.last?.port == trunk && records.last?.isEgress == true)
        let tagged = frame(to: broadcast, from: host(1), tag: 10, mark: 5)
        #expect(records.last?.bytes == Array(tagged.prefix(24)))
        #expect(records.last?.original == UInt32(tagged.count))
    }

    @Test("a capture that nobody reads loses records, counts them, and costs no frame")
    func deadReader() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        let tap = CaptureTap(ports: [0], snapLength: 2000, workers: 1, ringByteCount: 4096)
        lab.publish(captures: [tap])
        for mark in 0..<500 {
            #expect(
                lab.send(frame(to: broadcast, from: host(1), mark: UInt32(mark)), into: 0) == [1])
        }
        var kept: UInt64 = 0
        while tap.rings[0].consume({ _, _ in kept += 1 }) {}
        #expect(kept > 10 && kept + (tap.dropped[0] ?? 0) == 500)
    }

    @Test("a capture ring gives back what was put in, whatever the sizes")
    func ring() {
        let ring = CaptureRing(capacity: 4096, portCapacity: 4)
        var random = SeededGenerator(seed: 5)
        var waiting: [[UInt8]] = []
        for _ in 0..<20_000 {
            if Bool.random(using: &random) {
                let bytes = (0..<Int.random(in: 0...900, using: &random)).map {
                    UInt8(truncatingIfNeeded: $0)
                }
                let before = ring.dropped(port: 1)
                bytes.withUnsafeBytes { all in
                    ring.append(
                        FrameRecord(port: 1, point: .ingress), snapLength: 700, head: all)
                    ring.publish()
                }
                if ring.dropped(port: 1) == before { waiting.append(Array(bytes.prefix(700))) }
            } else {
                let consumed = ring.consume { _, bytes in
                    #expect(Array(bytes) == waiting.removeFirst())
                }
                #expect(consumed || waiting.isEmpty)
            }
        }
    }
}
