import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("A vhost-user device moves frames")
struct VhostDeviceTests {
    @Test("What the driver sends is received, whatever its size", arguments: ringKinds)
    func receives(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        for size in [14, 60, 64, 255, 256, 257, 300, 1514, 4000, 65_549] {
            let frame = testFrame(size)
            #expect(lab.guest.send(frame) != nil)
            lab.guest.publish()
            let received = lab.receive {
                #expect(lab.guest.reclaim().isEmpty, "it is still lent")
            }
            #expect(received.map(\.bytes) == [frame])
            #expect(received[0].headByteCount == min(size, SlotSize.borrowedHead))
            #expect(received[0].segmentCount == (size > SlotSize.borrowedHead ? 1 : 0))
            #expect(lab.guest.reclaim().count == 1)
        }
    }

    @Test("What is transmitted comes to the driver, whatever its pieces", arguments: ringKinds)
    func transmits(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        lab.guest.post()
        for size in [14, 60, 256, 1514, 2036, 2037, 9000, 65_549] {
            let frame = testFrame(size)
            typealias Entry = VhostDeviceLab.Entry
            let half = size / 2
            let entries = [
                Entry(bytes: frame),
                Entry(bytes: frame, head: 12, body: size - 12),
                Entry(bytes: frame, head: half),
                Entry(bytes: frame, head: 12, body: half - 12 > 0 ? half - 12 : 0, tail: [1, 2]),
            ]
            #expect(lab.transmit(entries) == [.none, .none, .none, .none])
            let received = lab.guest.receive()
            #expect(received.map(\.frame) == [frame, frame, frame, frame])
            let buffers = (size + 12 + 2047) / 2048
            #expect(received.allSatisfy { $0.bufferCount == buffers })
        }
    }

    @Test(
        "Header and data may be split among descriptors in any way",
        arguments: ringKinds, [VirtioLayout.chain, .table, .mixed])
    func anyLayout(options: VirtioFrontEnd.Options, layout: VirtioLayout) throws {
        if options.isPacked, layout == .mixed { return }
        let lab = try VhostDeviceLab(options)
        let splits = [
            [12], [1], [5, 7], [10, 2], [12, 14], [13], [12, 0, 14], [0, 12], [12, 100, 100, 100],
            [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [268], [300], [400],
        ]
        var sent: [[UInt8]] = []
        for (place, pieces) in splits.enumerated() {
            for size in [60, 500] {
                let frame = testFrame(size, place)
                sent.append(frame)
                #expect(lab.guest.send(frame, pieces: pieces, layout: layout) != nil)
            }
        }
        lab.guest.publish()
        #expect(lab.receiveAll().map(\.bytes) == sent)
        #expect(lab.guest.reclaim().count == sent.count)
    }

    @Test("A descriptor may span regions that adjoin for the guest", arguments: ringKinds)
    func spanning(options: VirtioFrontEnd.Options) throws {
        let memory = VirtioFrontEndMemory([1 << 22, 1 << 22, 1 << 20])
        let lab = try VhostDeviceLab(options, memory: memory)
        // A buffer over the border of the first two regions, in both directions.
        let border = memory.regions[1].guestAddress
        let frame = testFrame(1000)
        memory.write([UInt8](repeating: 0, count: 12) + frame, at: border - 300)
        let isSent = lab.guest.transmitQueue.add(
            [VirtioPiece(border - 300, 1012, isWritable: false)], token: 1, .chain)
        #expect(isSent)
        _ = lab.guest.transmitQueue.publish()
        let received = lab.receive()
        #expect(received.map(\.bytes) == [frame])
        #expect(received[0].segmentCount == 2)
        let isPosted = lab.guest.receiveQueue.add(
            [VirtioPiece(border - 40, 1024, isWritable: true)], token: 2, .chain)
        #expect(isPosted)
        _ = lab.guest.receiveQueue.publish()
        #expect(lab.transmit(frame) == .none)
        let used = lab.guest.receiveQueue.takeUsed()
        #expect(used?.byteCount == 1012)
        #expect(memory.read(border - 28, 1000) == frame)
    }

    @Test("Offload requests cross in both directions", arguments: ringKinds)
    func offloads(options: VirtioFrontEnd.Options) throws {
        var options = options
        options.features = VirtioFeature.guestChecksum | VirtioFeature.guestTSO4
        let lab = try VhostDeviceLab(options)
        let offload = Offload(
            flags: Offload.needsChecksum, gsoType: Offload.gsoTCPv4, headerByteCount: 54,
            gsoSize: 1448, checksumStart: 34, checksumOffset: 16)
        var header = [UInt8](repeating: 0, count: 12)
        header.withUnsafeMutableBytes { offload.store(to: $0.baseAddress!) }
        // The driver's word for a checksum's validity is not taken.
        header[0] |= Offload.dataValid
        _ = lab.guest.send(testFrame(3000), header: header)
        lab.guest.publish()
        #expect(lab.receive().map(\.offload) == [offload])
        lab.guest.post()
        #expect(lab.transmit([.init(bytes: testFrame(3000), offload: offload)]) == [.none])
        let received = lab.guest.receive()
        #expect(Array(received[0].header[0..<10]) == [1, 1, 54, 0, 0xA8, 5, 34, 0, 16, 0])
        #expect(received[0].bufferCount == 2)
        #expect(lab.port.offloads == [.checksum, .tso4])
    }

    @Test("A driver without checksum offload is told of no flags", arguments: ringKinds)
    func noFlags(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        lab.guest.post()
        var offload = Offload.none
        offload.flags = Offload.dataValid
        #expect(lab.transmit([.init(bytes: testFrame(60), offload: offload)]) == [.none])
        #expect(lab.guest.receive()[0].header[0] == 0)
        #expect(lab.port.offloads == [])
    }

    @Test("A legacy driver without mergeable buffers has a header of ten bytes")
    func legacy() throws {
        var options = VirtioFrontEnd.Options()
        options.isModern = false
        options.isMergeable = false
        let lab = try VhostDeviceLab(options)
        lab.guest.post()
        for size in [60, 300, 1514] {
            _ = lab.guest.send(testFrame(size), pieces: [10])
            lab.guest.publish()
            #expect(lab.receive().map(\.bytes) == [testFrame(size)])
            #expect(lab.transmit(testFrame(size)) == .none)
            #expect(lab.guest.receive().map(\.frame) == [testFrame(size)])
        }
    }

    @Test("Without mergeable buffers a frame fits into one or is rejected", arguments: ringKinds)
    func notMergeable(options: VirtioFrontEnd.Options) throws {
        var options = options
        options.isMergeable = false
        options.receivePieces = [12, 1000, 500]
        for layout in [VirtioLayout.chain, .table] {
            options.receiveLayout = layout
            let lab = try VhostDeviceLab(options)
            lab.guest.post()
            let outcomes = lab.transmit(
                [1500, 1501, 60].map { VhostDeviceLab.Entry(bytes: testFrame($0)) })
            #expect(outcomes == [.none, .egressRejected, .none])
            #expect(lab.guest.receive().map(\.frame) == [testFrame(1500), testFrame(60)])
        }
    }

    @Test("A frame that finds too few buffers takes none of them", arguments: ringKinds)
    func full(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        #expect(lab.transmit(testFrame(60)) == .egressFull)
        lab.guest.post(3)
        let outcomes = lab.transmit(
            [2000, 5000, 60, 3000, 60, 60].map { VhostDeviceLab.Entry(bytes: testFrame($0)) })
        #expect(outcomes == [.none, .egressFull, .none, .egressFull, .none, .egressFull])
        #expect(
            lab.guest.receive(reposting: false).map(\.frame)
                == [testFrame(2000), testFrame(60), testFrame(60)])
        lab.guest.post(3)
        #expect(lab.transmit(testFrame(6000)) == .none)
        #expect(lab.guest.receive().map(\.frame) == [testFrame(6000)])
    }

    @Test(
        "A chain that is no frame is returned, and counted as one that is bad", arguments: ringKinds
    )
    func badFrames(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        for bytes in [[], [1, 2, 3], [UInt8](repeating: 0, count: 12), testFrame(25)] {
            _ = lab.guest.sendRaw(bytes)
        }
        _ = lab.guest.sendRaw(testFrame(12 + SlotSize.maximumFrame + 1))
        _ = lab.guest.sendRaw(testFrame(12 + SlotSize.maximumFrame + 9000), pieces: [4096, 4096])
        _ = lab.guest.send(testFrame(60))
        lab.guest.publish()
        let received = lab.receive()
        #expect(
            received.map(\.bytes.count)
                == [0, 0, 0, 0, SlotSize.maximumFrame, SlotSize.maximumFrame, 60])
        #expect(received.allSatisfy { $0.offload == .none })
        #expect(lab.guest.reclaim().count == 7)
        #expect(lab.port.takeFault() == nil)
    }

    @Test("Without a driver nothing is received and transmitting finds nobody")
    func absent() throws {
        let lab = try VhostDeviceLab(isStarted: false)
        #expect(lab.receive().isEmpty)
        #expect(lab.transmit(testFrame(60)) == .egressDown)
        #expect(lab.port.arm())
        try lab.start()
        lab.guest.post()
        #expect(lab.transmit(testFrame(60)) == .none)
        #expect(lab.port.stopQueue(0) != nil)
        #expect(lab.port.stopQueue(0) == nil)
        #expect(lab.transmit(testFrame(60)) == .egressDown)
    }

    @Test("An answer goes to the port that a burst came from before that is released")
    func answer() throws {
        let lab = try VhostDeviceLab()
        lab.guest.post()
        for _ in 0..<2 {
            _ = lab.guest.send(testFrame(3000))
            lab.guest.publish()
            let frames = lab.receive {
                #expect(lab.transmit(testFrame(70)) == .none)
                #expect(lab.guest.reclaim().isEmpty)
                #expect(lab.guest.receive().map(\.frame) == [testFrame(70)])
            }
            #expect(frames.map(\.bytes) == [testFrame(3000)])
            #expect(lab.guest.reclaim().count == 1)
            #expect(lab.transmit(testFrame(80)) == .none)
            #expect(lab.guest.receive().map(\.frame) == [testFrame(80)])
        }
    }

    @Test("Rings may be of any size, from one descriptor to 32768", arguments: [false, true])
    func sizes(isPacked: Bool) throws {
        for size in isPacked ? [1, 2, 3, 32767, 32768] : [1, 2, 32768] {
            var options = VirtioFrontEnd.Options()
            options.isPacked = isPacked
            options.queueSize = size
            let memory = VirtioFrontEndMemory([1 << 28])
            let lab = try VhostDeviceLab(options, memory: memory)
            lab.guest.post(100)
            for round in 0..<5 {
                for place in 0..<min(size, 100) {
                    let layout: VirtioLayout = place % 2 == 0 ? .chain : .table
                    #expect(lab.guest.send(testFrame(60 + place, round), layout: layout) != nil)
                }
                lab.guest.publish()
                let received = lab.receiveAll().map(\.bytes)
                #expect(received == (0..<min(size, 100)).map { testFrame(60 + $0, round) })
                #expect(lab.guest.reclaim().count == received.count)
                #expect(lab.transmit(testFrame(60)) == .none)
                #expect(lab.guest.receive().map(\.frame) == [testFrame(60)])
            }
        }
    }

    @Test("A queue that is started and not enabled discards", arguments: ringKinds)
    func disabled(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        lab.port.setEnabled(0, false)
        lab.port.setEnabled(1, false)
        lab.guest.post()
        #expect(lab.transmit(testFrame(60)) == .egressDown)
        for place in 0..<100 {
            _ = lab.guest.send(
                testFrame(60 + place), pieces: [12, 20], layout: place % 2 == 0 ? .chain : .table)
        }
        lab.guest.publish()
        #expect(lab.receive().isEmpty)
        let returned = lab.guest.reclaim().count
        #expect(returned > 0)
        lab.port.setEnabled(1, true)
        #expect(lab.receiveAll().count == lab.guest.reclaim().count)
        _ = lab.guest.send(testFrame(64))
        lab.guest.publish()
        #expect(lab.receive().map(\.bytes) == [testFrame(64)])
    }
}
