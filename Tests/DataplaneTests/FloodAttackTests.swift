import Testing

@testable import Dataplane

@Suite("A MAC flood harms only its own port")
struct FloodAttackTests {
    @Test("a million source addresses cost two other hosts not one frame and not one flood")
    func million() {
        let lab = TestSwitch(
            domains: [DomainConfiguration(number: 1, vid: 10)], fdbCapacity: 4096)
        let sender = lab.add(.access(domain: 1))
        let receiver = lab.add(.access(domain: 1))
        let attacker = lab.add(.access(domain: 1))
        let witness = lab.add(.access(domain: 1))
        _ = lab.send(frame(to: host(1), from: host(2)), into: receiver)
        _ = lab.send(frame(to: host(2), from: host(1)), into: sender)
        let floodedBefore = lab.fabric.value(.flooded, port: sender)

        var next: UInt32 = 0
        var expected: UInt32 = 0
        var isInOrder = true
        var strays = 0
        let addresses: UInt64 = 1_000_000
        var number: UInt64 = 0
        var attack = frame(to: host(3), from: host(0), mark: 0)
        while number < addresses {
            for _ in 0..<200 where number < addresses {
                for byte in 0..<3 {
                    attack[9 + byte] = UInt8(truncatingIfNeeded: number >> UInt64(16 - 8 * byte))
                }
                attack[8] = 0x55
                _ = lab.ports[Int(attacker)].put(attack)
                number += 1
            }
            _ = lab.ports[Int(sender)].put(frame(to: host(2), from: host(1), mark: next))
            next += 1
            lab.run()
            while let (bytes, _) = lab.ports[Int(receiver)].take() {
                let mark = bytes[14..<18].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                guard bytes[11] == 1, bytes[8] == 0 else { continue }  // the attacker's own floods
                isInOrder = isInOrder && mark == expected
                expected += 1
            }
            while let (bytes, _) = lab.ports[Int(witness)].take() {
                if bytes[11] == 1, bytes[8] == 0 { strays += 1 }
            }
            while lab.ports[Int(sender)].take() != nil {}
        }
        #expect(lab.fabric.value(.received, port: attacker) == addresses)
        #expect(isInOrder && expected == next && next == 5_000)
        #expect(strays == 0)
        #expect(lab.fabric.value(.flooded, port: sender) == floodedBefore)
        #expect(lab.fabric.fdb.totals.evicted > 900_000)
        #expect(lab.fabric.fdb.learnedCount == lab.fabric.fdb.limit)
    }
}
