import TestSupport
import Testing
import Wire

@testable import Dataplane

@Suite("What a tunnel does not carry as it is")
struct OverlayLimitTests {
    private static let blue = DomainConfiguration(number: 1, vid: 10, mtu: 9000, vni: 10_010)
    private static let tunnel = OverlayLab.tunnel(to: 1)

    private func builder(_ source: UInt64 = host(1), to destination: UInt64) -> FrameBuilder {
        FrameBuilder(from: MACAddress(rawValue: source), to: MACAddress(rawValue: destination))
    }

    /// Two hosts whose ports know each other: host(1) at 0, host(2) at 1.
    private func lab(tag: UInt16? = nil) -> OverlayLab {
        let lab = OverlayLab(hosts: 2, domains: [Self.blue])
        lab.add(tag == nil ? .access(domain: 1) : .trunk(domains: [1], native: nil), to: 0)
        lab.add(.access(domain: 1), to: 1)
        _ = lab.send(frame(to: broadcast, from: host(1), tag: tag), into: 0, of: 0)
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 0, of: 1)
        return lab
    }

    @Test("a packet that is too big is answered in its sender's network, by whom it was for")
    func tooBig() throws {
        let payload = [UInt8](repeating: 7, count: 2000)
        for isIPv6 in [false, true] {
            let lab = lab()
            let builder = builder(to: host(2))
            let arrived = lab.send(
                (isIPv6 ? builder.ipv6() : builder.ipv4()).udp(payload: payload), into: 0, of: 0)
            let reply = try #require(arrived.first?.frame)
            #expect(arrived.map(\.host) == [0])
            #expect(reply[..<12] == frame(to: host(1), from: host(2))[..<12])
            let icmp = isIPv6 ? 54 : 34
            #expect(Array(reply[icmp..<icmp + 2]) == (isIPv6 ? [2, 0] : [3, 4]))
            let mtu = reply[icmp + 6..<icmp + 8].reduce(0) { $0 << 8 | Int($1) }
            #expect(mtu == 1450)
            #expect(lab.hosts[0].value(.overlayMTU, Self.tunnel) == 1)
            ConservationTests.check(lab.hosts[0].fabric, ports: 110)
            ConservationTests.checkDomains(lab.hosts[0].fabric, 1...1)
        }
    }

    @Test("on a trunk the answer has the network's tag")
    func tagged() {
        let lab = lab(tag: 10)
        let arrived = lab.send(
            builder(to: host(2)).tagged(10, priority: 5).ipv4().udp(
                payload: [UInt8](repeating: 7, count: 2000)), into: 0, of: 0)
        #expect(arrived.map { Array($0.frame[12..<18]) } == [[0x81, 0, 0, 10, 8, 0]])
    }

    @Test("who did not ask to be told is not, and the drop is counted")
    func fragmentable() {
        let lab = lab()
        var bytes = builder(to: host(2)).ipv4().udp(payload: [UInt8](repeating: 7, count: 2000))
        bytes[20] = 0
        #expect(lab.send(bytes, into: 0, of: 0).isEmpty)
        #expect(lab.hosts[0].value(.overlayMTU, Self.tunnel) == 1)
    }

    @Test("answers have a limit; drops go on being counted")
    func limited() {
        let lab = lab()
        let bytes = builder(to: host(2)).ipv4().udp(payload: [UInt8](repeating: 7, count: 2000))
        for _ in 0..<200 { #expect(lab.hosts[0].ports[0].put(bytes)) }
        let answers = lab.deliveries().count
        #expect(answers > 0 && answers <= 50)
        #expect(lab.hosts[0].value(.overlayMTU, Self.tunnel) == 200)
        lab.time += 1_000_000_000
        #expect(lab.send(bytes, into: 0, of: 0).count == 1, "after a second's silence again")
        ConservationTests.check(lab.hosts[0].fabric, ports: 110)
    }

    @Test("a port that has used up its answers takes none of another's")
    func fairness() {
        let lab = lab()
        let other = lab.add(.access(domain: 1), to: 0)
        let bytes = builder(to: host(2)).ipv4().udp(payload: [UInt8](repeating: 7, count: 2000))
        for _ in 0..<200 { #expect(lab.hosts[0].ports[0].put(bytes)) }
        _ = lab.deliveries()
        #expect(lab.send(bytes, into: 0, of: 0).isEmpty)
        #expect(lab.send(bytes, into: other, of: 0).count == 1)
    }

    @Test("a flood reaches those that it fits, and its sender hears of the others")
    func mixed() {
        let lab = OverlayLab(hosts: 3, domains: [Self.blue], maximumPacketByteCount: 8950)
        for host in 0..<3 { lab.add(.access(domain: 1), to: host) }
        lab.hosts[0].configuration.tunnels[1].maximumPacketByteCount = 1450
        lab.publish(lab.hosts[0])
        let arrived = lab.send(
            builder(to: host(9)).ipv4().udp(payload: [UInt8](repeating: 7, count: 2000)), into: 0,
            of: 0)
        #expect(arrived.map(\.host).sorted() == [0, 1])
        #expect(lab.hosts[0].value(.overlayMTU, OverlayLab.tunnel(to: 2)) == 1)
    }

    @Test("a flood that is too big for many tunnels is answered once")
    func once() {
        let lab = OverlayLab(hosts: 6, domains: [Self.blue])
        for host in 0..<6 { lab.add(.access(domain: 1), to: host) }
        let bytes = builder(to: host(9)).ipv4().udp(payload: [UInt8](repeating: 7, count: 2000))
        for _ in 0..<3 { #expect(lab.hosts[0].ports[0].put(bytes)) }
        #expect(lab.deliveries().map(\.host) == [0, 0, 0])
        let drops = (1..<6).map { lab.hosts[0].value(.overlayMTU, OverlayLab.tunnel(to: $0)) }
        #expect(drops == [3, 3, 3, 3, 3])
    }

    @Test("a tag and its priority stay on their side; each host has its own VLAN ID")
    func trunks() {
        let lab = OverlayLab(hosts: 2, domains: [Self.blue])
        lab.hosts[1].configuration.domains[0].vid = 77
        lab.add(.trunk(domains: [1], native: nil), to: 0)
        lab.add(.trunk(domains: [1], native: nil), to: 1)
        let arrived = lab.send(
            frame(to: broadcast, from: host(1), tag: 0xA00A), into: 0, of: 0)
        #expect(arrived.map(\.frame) == [frame(to: broadcast, from: host(1), tag: 77)])
        let inner = lab.hosts[0].underlay.sent.first?.datagrams.bytes.dropFirst(8) ?? []
        #expect(Array(inner) == frame(to: broadcast, from: host(1)))
    }

    @Test("a full burst to ninety-nine hosts leaves whole")
    func manyTunnels() {
        let lab = OverlayLab(hosts: 1, domains: [Self.blue])
        lab.add(.access(domain: 1), to: 0)
        lab.hosts[0].configuration.tunnels = (0..<99).map { peer in
            TunnelConfiguration(
                number: OverlayLab.tunnel(to: peer), underlay: OverlayLab.underlayNumber,
                encapsulation: .vxlan, remote: UnderlayAddress(ipv4: 0x0A00_0001 + UInt32(peer)),
                domains: [1])
        }
        lab.publish(lab.hosts[0])
        for mark in 0..<64 {
            let bytes = frame(to: broadcast, from: host(1), mark: UInt32(mark))
            #expect(lab.hosts[0].ports[0].put(bytes))
        }
        #expect(lab.deliveries().isEmpty)
        var marks: [UnderlayAddress: [UInt32]] = [:]
        for (_, to, datagrams) in lab.hosts[0].underlay.sent {
            let size = datagrams.segmentByteCount
            for start in stride(from: 0, to: datagrams.bytes.count, by: size) {
                marks[to, default: []].append(
                    TwoWorkerTests.mark(Array(datagrams.bytes[(start + 8)..<(start + size)])))
            }
        }
        #expect(marks.count == 99)
        #expect(marks.values.allSatisfy { $0 == Array(0..<64) }, "all of one flow, in order")
        for peer in 0..<99 {
            #expect(
                lab.hosts[0].fabric.value(.transmitted, port: OverlayLab.tunnel(to: peer)) == 64)
        }
        ConservationTests.check(lab.hosts[0].fabric, ports: 201)
    }
}

@Suite("A tunnel and a port of two workers")
struct OverlayWorkerTests {
    @Test("frames are handed over both ways, none is lost, and slots come home", arguments: [0, 1])
    func handover(underlayWorker: Int) {
        let fabric = Fabric(
            workers: 2, portCapacity: 16, domainCapacity: 4, fdbCapacity: 64, seed: 1)
        let network = MemoryNetwork()
        let peer = UnderlayAddress(ipv4: 2)
        let underlay = MemoryUnderlay(UnderlayAddress(ipv4: 1), on: network)
        let port = MemoryPort(offloads: .all, slotByteCount: 66_000)
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: [OverlayOffloadTests.blue],
                ports: [
                    PortConfiguration(
                        number: 0, membership: .access(domain: 1), worker: 1 - underlayWorker,
                        port: port)
                ],
                underlays: [
                    UnderlayConfiguration(
                        number: 1, local: underlay.address, worker: underlayWorker,
                        underlay: underlay)
                ],
                tunnels: [
                    TunnelConfiguration(
                        number: 2, underlay: 1, encapsulation: .vxlan, remote: peer, domains: [1])
                ]))
        var first = Worker(fabric: fabric, index: 0)
        var second = Worker(fabric: fabric, index: 1)
        func run() {
            for _ in 0..<50 {
                _ = first.beginRound(time: 1_000_000_000_000)
                _ = second.beginRound(time: 1_000_000_000_000)
                for number in 0..<2 as Range<UInt16> {
                    _ = first.serve(port: number)
                    _ = second.serve(port: number)
                }
                _ = first.endRound()
                _ = second.endRound()
            }
        }
        for destination in [broadcast, host(9)] {
            let header: [UInt8] = [8, 0, 0, 0, 0, 0x27, 0x1A, 0]
            underlay.inject(header + frame(to: broadcast, from: host(9)), from: peer)
            run()
            #expect(port.take()?.frame == frame(to: broadcast, from: host(9)))
            underlay.sent = []
            // More than a hand-over ring holds at once would be dropped: 100 do not.
            for mark in 0..<100 {
                #expect(port.put(frame(to: destination, from: host(1), mark: UInt32(mark))))
            }
            run()
            let sent = underlay.sent.reduce(0) {
                $0 + $1.datagrams.bytes.count / $1.datagrams.segmentByteCount
            }
            #expect(sent == 100)
        }
        #expect(fabric.value(.transmitted, port: 2) == 200)
        ConservationTests.check(fabric, ports: 3)
        first.recycleSlots()
        second.recycleSlots()
        #expect(first.pool.available + first.burst.limit == first.pool.capacity)
        #expect(second.pool.available + second.burst.limit == second.pool.capacity)
    }

    /// What a frame was held to when it was decided may no longer be so when it is handed over.
    @Test("a frame that is handed over is held to what the tunnel takes then")
    func shrunk() {
        let fabric = Fabric(
            workers: 2, portCapacity: 16, domainCapacity: 4, fdbCapacity: 64, seed: 1)
        let underlay = MemoryUnderlay(UnderlayAddress(ipv4: 1), on: MemoryNetwork())
        let port = MemoryPort()
        var configuration = DataplaneConfiguration(
            domains: [OverlayOffloadTests.blue],
            ports: [
                PortConfiguration(
                    number: 0, membership: .access(domain: 1), worker: 0, port: port)
            ],
            underlays: [
                UnderlayConfiguration(
                    number: 1, local: underlay.address, worker: 1, underlay: underlay)
            ],
            tunnels: [
                TunnelConfiguration(
                    number: 2, underlay: 1, encapsulation: .vxlan, remote: UnderlayAddress(ipv4: 2),
                    domains: [1])
            ])
        _ = fabric.publish(configuration)
        var first = Worker(fabric: fabric, index: 0)
        var second = Worker(fabric: fabric, index: 1)
        #expect(port.put(frame(to: broadcast, from: host(1), payload: 1400)))
        _ = first.serve(port: 0)
        configuration.tunnels[0].maximumPacketByteCount = 1230
        _ = fabric.publish(configuration)
        _ = second.beginRound(time: 1)
        _ = second.endRound()
        #expect(underlay.sent.isEmpty)
        #expect(fabric.value(.overlayMTU, port: 2) == 1)
        ConservationTests.check(fabric, ports: 3)
    }

    @Test("a message whose segments have no length ends, as malformed", arguments: [0, -1])
    func noSegments(segmentByteCount: Int) {
        let lab = OverlayLab(hosts: 2, domains: [OverlayOffloadTests.blue])
        lab.hosts[0].underlay.inject(
            [8, 0, 0, 0, 0, 0x27, 0x1A, 0] + frame(to: broadcast, from: host(9)),
            from: OverlayLab.address(of: 1), segmentByteCount: segmentByteCount)
        #expect(lab.deliveries().isEmpty)
        #expect(lab.hosts[0].value(.malformedTunnel, OverlayLab.tunnel(to: 1)) > 0)
        ConservationTests.check(lab.hosts[0].fabric, ports: 110)
    }
}
