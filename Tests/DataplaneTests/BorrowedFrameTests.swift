import TestSupport
import Testing
import Wire

@testable import Dataplane

@Suite("Borrowed frames: the same as copied ones, wherever they go")
struct BorrowedFrameTests {
    /// What each of the other ports got when `input` sent the frames.
    private func outputs(
        of input: LendingPort, _ frames: [(bytes: [UInt8], offload: Offload)],
        capturing: Bool = false
    ) -> [[(frame: [UInt8], offload: Offload, pieces: Int)]] {
        let fabric = Fabric(portCapacity: 16, domainCapacity: 16, fdbCapacity: 1024, seed: 1)
        var worker = Worker(fabric: fabric, index: 0)
        let outputs = [
            LendingPort(offloads: .all, takesSegments: true), LendingPort(offloads: .all),
            LendingPort(takesSegments: true), LendingPort(offloads: .all, takesSegments: true),
        ]
        var ports: [PortConfiguration] = [
            PortConfiguration(number: 0, membership: .access(domain: 1), port: input)
        ]
        for (place, port) in outputs.enumerated() {
            ports.append(
                PortConfiguration(
                    number: UInt16(place + 1),
                    membership: place == 3
                        ? .trunk(domains: [1], native: nil) : .access(domain: 1), port: port))
        }
        let captures =
            capturing
            ? [
                CaptureTap(
                    ports: [0, 1], snapLength: SlotSize.maximumFrame, workers: 1, portCapacity: 16)
            ] : []
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: [DomainConfiguration(number: 1, vid: 10, mtu: 9000)], ports: ports,
                captures: captures))
        for (bytes, offload) in frames { input.put(bytes, offload: offload) }
        for _ in 0..<20 {
            _ = worker.beginRound(time: 1_000_000_000_000)
            _ = worker.serve(port: 0)
            _ = worker.endRound()
        }
        if let tap = captures.first {
            var seen = 0
            while tap.rings[0].consume({ record, bytes in
                seen += 1
                #expect(
                    frames.contains { [UInt8](bytes) == $0.bytes }
                        || (record.point == .egress), "what is captured is the whole frame")
            }) {}
            #expect(seen == frames.count * 2)
        }
        ConservationTests.check(fabric, ports: 5)
        return outputs.map(\.taken)
    }

    /// Plain ones of every length, partial checksums, super-frames.
    private static func mix(seed: UInt64) -> [(bytes: [UInt8], offload: Offload)] {
        var random = SeededRandom(seed: seed)
        return (0..<48).map { number in
            let payload = (0..<Int.random(in: 1...8000, using: &random)).map {
                UInt8(truncatingIfNeeded: $0 &* 31 &+ number)
            }
            let builder = FrameBuilder(
                from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast))
            switch number % 4 {
            case 0:
                return (
                    EgressOffloadTests.superFrame().bytes, EgressOffloadTests.superFrame().offload
                )
            case 1:
                return (
                    builder.ipv4().tcp(payload: payload, isPartial: true),
                    Offload(flags: 1, checksumStart: 34, checksumOffset: 16)
                )
            default:
                return (
                    frame(
                        to: broadcast, from: host(1), payload: 46 + payload.count,
                        mark: UInt32(number)), .none
                )
            }
        }
    }

    @Test(
        "cross to every kind of port as copied ones do",
        arguments: [
            (64, 1000), (256, 1500), (256, 7), (60, 65_536), (256, 300),
        ], [false, true])
    func sameAsCopied(_ shape: (head: Int, piece: Int), _ capturing: Bool) {
        let frames = Self.mix(seed: UInt64(shape.head + shape.piece))
        let copied = outputs(of: LendingPort(), frames)
        let input = LendingPort(headByteCount: shape.head, pieceByteCount: shape.piece)
        let borrowed = outputs(of: input, frames, capturing: capturing)
        for (place, (expected, found)) in zip(copied, borrowed).enumerated() {
            #expect(found.map(\.frame) == expected.map(\.frame), "port \(place + 1)")
            #expect(found.map(\.offload) == expected.map(\.offload))
        }
        #expect(input.releaseCount > 0)
        let pieces = borrowed[0].map(\.pieces).reduce(0, +)
        #expect(capturing ? pieces == 0 : pieces > 0, "the loan reached the port that takes it")
        #expect(borrowed[1].allSatisfy { $0.pieces == 0 })
    }

    @Test("headers that are longer than what was copied are looked for in the rest")
    func longHeaders() {
        // Hop-by-hop options of 240 bytes put the UDP header behind what was copied.
        var bytes = FrameBuilder(
            from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast)
        ).ipv6().udp(payload: [1, 2, 3])
        let transport = Array(bytes[54...])
        let length = transport.count + 240
        bytes[18] = UInt8(length >> 8)
        bytes[19] = UInt8(length & 0xFF)
        bytes[20] = 0
        bytes.replaceSubrange(
            54..., with: [17, 29, 1, 236] + [UInt8](repeating: 0, count: 236) + transport)
        let offload = Offload(flags: 1, checksumStart: 54 + 240, checksumOffset: 6)
        let copied = outputs(of: LendingPort(), [(bytes, offload)])
        let borrowed = outputs(of: LendingPort(headByteCount: 64), [(bytes, offload)])
        #expect(copied[0].count == 1)
        #expect(borrowed.map { $0.map(\.frame) } == copied.map { $0.map(\.frame) })
    }

    @Test("a port where nobody is gets no floods, and what is sent to it alone is dropped there")
    func noPeer() {
        let fabric = Fabric(portCapacity: 16, domainCapacity: 16, fdbCapacity: 1024, seed: 1)
        var worker = Worker(fabric: fabric, index: 0)
        let ports = (0..<3).map { _ in LendingPort() }
        func publish(hasPeer: Bool) {
            _ = fabric.publish(
                DataplaneConfiguration(
                    domains: [DomainConfiguration(number: 1, vid: 0)],
                    ports: ports.enumerated().map { number, port in
                        PortConfiguration(
                            number: UInt16(number), membership: .access(domain: 1),
                            hasPeer: number != 1 || hasPeer, port: port)
                    }))
        }
        func run() {
            for _ in 0..<4 {
                _ = worker.beginRound(time: 1_000_000_000_000)
                for port in 0..<3 { _ = worker.serve(port: UInt16(port)) }
                _ = worker.endRound()
            }
        }
        publish(hasPeer: true)
        ports[1].put(frame(to: broadcast, from: host(2)))
        run()
        publish(hasPeer: false)
        ports[0].put(frame(to: broadcast, from: host(1)))
        ports[0].put(frame(to: host(2), from: host(1)))
        run()
        #expect(ports[2].taken.count == 2, "both broadcasts")
        #expect(ports[1].taken.count == 1, "the known address is still there; the port decides")
        #expect(fabric.value(.flooded, port: 0) == 1)
    }
}
