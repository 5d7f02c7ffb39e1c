import Glibc
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Dataplane
@testable import Ports

@Suite("Two guests on one switch")
struct VhostDeviceSwitchTests {
    /// Two ports in one network, with a worker that this thread runs.
    private final class World {
        let labs: [VhostDeviceLab]
        let fabric: Fabric
        private var worker: Worker

        init(_ options: [VirtioFrontEnd.Options], trunk: Bool = false) throws {
            labs = try options.map { try VhostDeviceLab($0) }
            fabric = Fabric(portCapacity: 8, domainCapacity: 8, fdbCapacity: 1024, seed: 1)
            _ = fabric.publish(
                DataplaneConfiguration(
                    domains: [DomainConfiguration(number: 1, vid: 10, mtu: 65_535)],
                    ports: labs.enumerated().map { number, lab in
                        PortConfiguration(
                            number: UInt16(number),
                            membership: trunk && number == 1
                                ? .trunk(domains: [1], native: nil) : .access(domain: 1),
                            port: lab.port)
                    }))
            worker = Worker(fabric: fabric, index: 0)
            for lab in labs { lab.guest.post() }
        }

        func run() {
            var isBusy = true
            while isBusy {
                isBusy = false
                _ = worker.beginRound(time: 1_000_000_000_000)
                for number in labs.indices {
                    _ = worker.serve(port: UInt16(number))
                    if worker.receivedCount > 0 { isBusy = true }
                }
                if worker.endRound() { isBusy = true }
            }
        }
    }

    private static func frame(to: UInt8, from: UInt8, _ byteCount: Int) -> [UInt8] {
        [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from] + testFrame(byteCount).dropFirst(12)
    }

    private static let kinds: [(Bool, Bool)] = [
        (false, false), (false, true), (true, false), (true, true),
    ]

    @Test("Frames of every size cross between any two kinds of rings", arguments: kinds)
    func crossing(first: Bool, second: Bool) throws {
        var options = [VirtioFrontEnd.Options(), VirtioFrontEnd.Options()]
        options[0].isPacked = first
        options[1].isPacked = second
        options[1].receivePieces = [1536]
        let world = try World(options)
        let guests = world.labs.map(\.guest)
        _ = guests[1].send(Self.frame(to: 1, from: 2, 60))
        guests[1].publish()
        world.run()
        #expect(guests[0].receive().count == 1)
        for size in [14, 60, 256, 257, 1514, 9014, 65_549] {
            for pieces in [[], [12], [12, 14, 100], [1000, 1000]] {
                let frame = Self.frame(to: 2, from: 1, size)
                #expect(guests[0].send(frame, pieces: pieces) != nil)
                guests[0].publish()
                world.run()
                #expect(guests[1].receive().map(\.frame) == [frame])
                #expect(guests[0].reclaim().count == 1)
                #expect(guests[0].receive().isEmpty)
            }
        }
        #expect(world.fabric.value(.transmitted, port: 1) == 28)
        #expect(world.fabric.value(.received, port: 0) == 28)
    }

    @Test("A super-frame of 64 KiB crosses whole, and is cut for a guest that takes none")
    func superFrame() throws {
        for takes in [true, false] {
            var options = [VirtioFrontEnd.Options(), VirtioFrontEnd.Options()]
            options[1].receivePieces = [4096]
            if takes {
                options[1].features = VirtioFeature.guestChecksum | VirtioFeature.guestTSO4
            }
            let world = try World(options)
            let guests = world.labs.map(\.guest)
            let frame = FrameBuilder().ipv4().tcp(
                payload: [UInt8](repeating: 0x5A, count: 65_495), isPartial: true)
            #expect(frame.count == 65_549)
            let offload = Offload(
                flags: Offload.needsChecksum, gsoType: Offload.gsoTCPv4, headerByteCount: 54,
                gsoSize: 1448, checksumStart: 34, checksumOffset: 16)
            var header = [UInt8](repeating: 0, count: 12)
            header.withUnsafeMutableBytes { offload.store(to: $0.baseAddress!) }
            #expect(guests[0].send(frame, header: header, pieces: [12, 16384, 16384]) != nil)
            guests[0].publish()
            world.run()
            let received = guests[1].receive()
            if takes {
                #expect(received.map(\.frame) == [frame])
                #expect(received[0].bufferCount == 17)
                #expect(Array(received[0].header[0..<10]) == Array(header[0..<10]))
            } else {
                #expect(received.count == 46)
                #expect(received.allSatisfy { $0.frame.count <= 1502 && $0.header[1] == 0 })
            }
            #expect(guests[0].reclaim().count == 1)
        }
    }

    /// A port that looks where the bytes lie which it is to send.
    private final class Observer: Port {
        let memory: VirtioFrontEndMemory
        let lent = Atomic<Int>(0)
        let copied = Atomic<Int>(0)

        init(_ memory: VirtioFrontEndMemory) { self.memory = memory }

        var offloads: OffloadSet { [] }
        var pollDescriptor: Int32? { nil }
        var takesSegments: Bool { true }
        func receive(into burst: inout Burst) -> ReceiveOutcome { .drained }
        func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
            let region = memory.regions[0]
            for entry in entries {
                copied.add(entry.headByteCount - 12 + entry.bodyByteCount, ordering: .relaxed)
                for place in 0..<Int(entry.tailCount) {
                    guard let piece = entry.tail?[place] else { continue }
                    let offset = piece.bytes - UnsafeRawPointer(region.host)
                    guard offset >= 0, offset + piece.byteCount <= region.byteCount else { return }
                    lent.add(piece.byteCount, ordering: .relaxed)
                }
            }
        }
    }

    @Test("What is behind a frame's head lies in the sender's memory until it is sent")
    func oneCopy() throws {
        for isPacked in [false, true] {
            var options = VirtioFrontEnd.Options()
            options.isPacked = isPacked
            let lab = try VhostDeviceLab(options)
            let observer = Observer(lab.guest.memory)
            let fabric = Fabric(portCapacity: 8, domainCapacity: 8, fdbCapacity: 1024, seed: 1)
            _ = fabric.publish(
                DataplaneConfiguration(
                    domains: [DomainConfiguration(number: 1, vid: 10, mtu: 65_535)],
                    ports: [
                        PortConfiguration(
                            number: 0, membership: .access(domain: 1), port: lab.port),
                        PortConfiguration(
                            number: 1, membership: .access(domain: 1), port: observer),
                    ]))
            var worker = Worker(fabric: fabric, index: 0)
            for size in [60, 256, 4000, 65_549] {
                _ = lab.guest.send(Self.frame(to: 2, from: 1, size), pieces: [12, 300, 300])
            }
            lab.guest.publish()
            _ = worker.beginRound(time: 1_000_000_000_000)
            _ = worker.serve(port: 0)
            #expect(observer.copied.load(ordering: .relaxed) == 60 + 256 + 256 + 256)
            #expect(observer.lent.load(ordering: .relaxed) == 4000 - 256 + 65_549 - 256)
            #expect(lab.guest.reclaim().count == 4)
        }
    }

    @Test("Tags are written at a trunk, in front of borrowed frames too")
    func tagged() throws {
        let world = try World([VirtioFrontEnd.Options(), VirtioFrontEnd.Options()], trunk: true)
        let guests = world.labs.map(\.guest)
        for size in [60, 3000] {
            let frame = Self.frame(to: 2, from: 1, size)
            _ = guests[0].send(frame)
            guests[0].publish()
            world.run()
            let tagged = frame[..<12] + [0x81, 0, 0, 10] + frame[12...]
            #expect(guests[1].receive().map(\.frame) == [Array(tagged)])
        }
    }

    @Test("An announced guest is learned where it is")
    func announced() throws {
        let world = try World([VirtioFrontEnd.Options(), VirtioFrontEnd.Options()])
        let guests = world.labs.map(\.guest)
        world.labs[0].port.announce(MACAddress(rawValue: 0x0200_0000_0042))
        world.run()
        #expect(guests[1].receive().map { $0.frame[12..<14] } == [[0x80, 0x35]])
        _ = guests[1].send(Self.frame(to: 0x42, from: 2, 60))
        guests[1].publish()
        world.run()
        #expect(guests[0].receive().count == 1)
        #expect(world.fabric.value(.floodNowhere, port: 1) == 0)
    }

    @Test("A session may do anything while a worker serves the port", arguments: [false, true])
    func concurrently(isPacked: Bool) throws {
        var options = VirtioFrontEnd.Options()
        options.isPacked = isPacked
        options.queueSize = 64
        let labs = try [VhostDeviceLab(options), VhostDeviceLab(options)]
        let fabric = Fabric(portCapacity: 8, domainCapacity: 8, fdbCapacity: 1024, seed: 1)
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: [DomainConfiguration(number: 1, vid: 10, mtu: 9000)],
                ports: labs.enumerated().map { number, lab in
                    PortConfiguration(
                        number: UInt16(number), membership: .access(domain: 1), port: lab.port)
                }))
        let thread = try WorkerThread(fabric: fabric, index: 0)
        try thread.start()
        defer { thread.stop() }
        var random = SeededRandom(seed: 3)
        let guests = labs.map(\.guest)
        var sent = 0
        var received = 0
        let table = VhostDeviceLab.table(guests[0].memory)
        for guest in guests { guest.post() }
        func kick() {
            var one: UInt64 = 1
            _ = write(labs[0].kick, &one, 8)
        }
        for round in 0..<2000 {
            if guests[0].send(Self.frame(to: 2, from: 1, 60 + round % 1500)) != nil { sent += 1 }
            if guests[0].publish() { kick() }
            guests[0].reclaim()
            received += guests[1].receive().count
            switch random.next() % 40 {
            case 0:
                for index in [1, 0] {
                    if let base = labs[0].port.stopQueue(index) {
                        var setup = labs[0].setup(index)
                        setup.base = base
                        try labs[0].port.startQueue(index, setup)
                    }
                }
            case 1:
                labs[0].port.setMemory(
                    round % 2 == 0 ? table : VhostDeviceLab.table(guests[0].memory))
            case 2:
                labs[1].port.setEnabled(0, false)
                labs[1].port.setEnabled(0, true)
            case 3: labs[1].port.setCall(0, round % 2 == 0 ? -1 : labs[1].receiveCall)
            case 4: labs[0].port.setKick(1, labs[0].kick)
            case 5: usleep(1500)
            default: break
            }
        }
        let deadline = WorkerThread.monotonicNanoseconds() + 10_000_000_000
        while !guests[0].inFlight.isEmpty, WorkerThread.monotonicNanoseconds() < deadline {
            guests[0].reclaim()
            received += guests[1].receive().count
            usleep(200)
        }
        #expect(guests[0].inFlight.isEmpty)
        #expect(sent > 500)
        received += guests[1].receive().count
        let lost = Int(
            fabric.value(.egressFull, port: 1) + fabric.value(.egressDown, port: 1))
        #expect(received + lost == sent)
        #expect(labs[0].port.takeFault() == nil && labs[1].port.takeFault() == nil)
    }
}
