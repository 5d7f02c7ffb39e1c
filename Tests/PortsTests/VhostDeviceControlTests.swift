import TestSupport
import Testing
import Wire

@testable import Dataplane
@testable import Ports

@Suite("Control, several queues and logging of a vhost-user device")
struct VhostDeviceControlTests {
    /// A port with a control queue, and a driver of it.
    private final class Control {
        let lab: VhostDeviceLab
        let queue: any VirtioFrontEndQueue
        private let command: UInt64
        private let status: UInt64

        init(isPacked: Bool, features: UInt64, pairs: Int = 4) throws {
            var options = VirtioFrontEnd.Options()
            options.isPacked = isPacked
            options.features = VirtioFeature.controlQueue | features
            lab = try VhostDeviceLab(options, pairs: pairs)
            queue = VirtioFrontEnd.queue(options, lab.guest.memory)
            command = lab.guest.memory.allocate(4096)
            status = lab.guest.memory.allocate(1)
            let isMultiqueue = features & VirtioFeature.multiqueue != 0
            try lab.port.startQueue(
                isMultiqueue ? 2 * pairs : 2,
                VhostDeviceLab.setup(queue, options, kick: lab.kick))
        }

        /// The status byte; nil when the command was not returned.
        func send(_ bytes: [UInt8], splitAt: Int = 2, layout: VirtioLayout = .chain) -> UInt8? {
            let memory = lab.guest.memory
            memory.write(bytes, at: command)
            memory.write([0xEE], at: status)
            let first = min(splitAt, bytes.count)
            _ = queue.add(
                [
                    VirtioPiece(command, first, isWritable: false),
                    VirtioPiece(command + UInt64(first), bytes.count - first, isWritable: false),
                    VirtioPiece(status, 1, isWritable: true),
                ], token: 1, layout)
            _ = queue.publish()
            _ = lab.receive()
            guard let used = queue.takeUsed() else { return nil }
            precondition(used.byteCount == 1)
            return memory.read(status, 1)[0]
        }
    }

    @Test("Commands are answered as the standard has it", arguments: [false, true])
    func commands(isPacked: Bool) throws {
        let control = try Control(isPacked: isPacked, features: 0)
        let mac: [UInt8] = [2, 0, 0, 0, 0, 9]
        for (bytes, status, why) in [
            ([0, 0, 1], 0, "promiscuous on"), ([0, 5, 0], 0, "no broadcast off"),
            ([0, 6, 1], 1, "no such mode"), ([0, 0], 1, "no value"),
            ([1, 1] + mac, 0, "own address"), ([1, 1, 2], 1, "half an address"),
            ([1, 0, 1, 0, 0, 0] + mac + [0, 0, 0, 0], 0, "tables"),
            ([1, 0, 0, 0], 1, "half a table"), ([2, 0, 5, 0], 0, "VLAN 5"),
            ([2, 1, 5, 0], 0, "no VLAN 5"), ([2, 2, 5, 0], 1, "no such VLAN command"),
            ([3, 0], 0, "announced"), ([4, 0, 0, 0], 1, "no pairs"),
            ([4, 0, 5, 0], 1, "more pairs than there are"), ([4, 0, 1], 1, "half a number"),
            ([9, 0, 0], 1, "no such class"), ([7], 1, "no command"),
        ] as [([UInt8], UInt8, String)] {
            for split in [2, 1, 0, bytes.count] {
                for layout in [VirtioLayout.chain, .table] {
                    #expect(
                        control.send(bytes, splitAt: split, layout: layout) == status, "\(why)")
                }
            }
        }
        let long: [UInt8] = [1, 0, 100, 0, 0, 0] + [UInt8](repeating: 1, count: 604)
        #expect(control.send(long) == 0)
        #expect(control.lab.port.takeFault() == nil)
    }

    @Test("The number of pairs in use is what the driver sets", arguments: [false, true])
    func pairs(isPacked: Bool) throws {
        let control = try Control(isPacked: isPacked, features: VirtioFeature.multiqueue, pairs: 2)
        let lab = control.lab
        let second = VirtioFrontEnd(lab.guest.options, memory: lab.guest.memory)
        for (index, queue) in [(2, second.receiveQueue), (3, second.transmitQueue)] {
            try lab.port.startQueue(index, VhostDeviceLab.setup(queue, second.options))
            lab.port.setEnabled(index, true)
        }
        lab.guest.post()
        second.post()
        #expect(control.send([4, 0, 1, 0]) == 0)
        let frames = (0..<40).map { VhostDeviceLab.Entry(bytes: flow($0)) }
        _ = lab.transmit(frames)
        #expect(lab.guest.receive().count == 40)
        #expect(second.receive().isEmpty)
        _ = second.send(testFrame(60))
        second.publish()
        #expect(lab.receive().isEmpty)
        #expect(second.reclaim().count == 1, "a pair that is not in use discards")
        #expect(control.send([4, 0, 2, 0]) == 0)
        _ = lab.transmit(frames)
        let (one, two) = (lab.guest.receive().count, second.receive().count)
        #expect(one + two == 40 && one > 5 && two > 5)
        _ = second.send(testFrame(60))
        second.publish()
        #expect(lab.receive().count == 1)
    }

    @Test("Offloads may be changed while the device runs")
    func guestOffloads() throws {
        let control = try Control(
            isPacked: false,
            features: VirtioFeature.controlGuestOffloads | VirtioFeature.guestChecksum
                | VirtioFeature.guestTSO4)
        let port = control.lab.port
        #expect(port.offloads == [.checksum, .tso4])
        #expect(control.send([5, 0, 2, 0, 0, 0, 0, 0, 0, 0]) == 0)
        #expect(port.offloads == [.checksum])
        #expect(control.send([5, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == 0)
        #expect(port.offloads == [])
        #expect(control.send([5, 0, 0x82, 0, 0, 0, 0, 0, 0, 0]) == 0)
        #expect(port.offloads == [.checksum, .tso4])
        #expect(control.send([5, 0, 0x82, 1, 0, 0, 0, 0, 0, 0]) == 1, "was not negotiated")
        #expect(port.offloads == [.checksum, .tso4])
    }

    @Test("A command without room for its status is a fault")
    func noStatus() throws {
        let control = try Control(isPacked: false, features: 0)
        let piece = VirtioPiece(control.lab.guest.memory.allocate(2), 2, isWritable: false)
        _ = control.queue.add([piece], token: 1, .chain)
        _ = control.queue.publish()
        _ = control.lab.receive()
        #expect(control.lab.port.takeFault()?.fault.sentence.contains("no room") == true)
    }

    // MARK: Several pairs

    /// A frame of a UDP flow of its own.
    private func flow(_ number: Int, payload: Int = 20) -> [UInt8] {
        FrameBuilder().ipv4().udp(
            from: UInt16(1000 + number), to: 53, payload: [UInt8](repeating: 7, count: payload))
    }

    @Test(
        "A flow keeps to one queue and to its order; many flows use all", arguments: [false, true])
    func flows(isPacked: Bool) throws {
        var options = VirtioFrontEnd.Options()
        options.isPacked = isPacked
        let lab = try VhostDeviceLab(options, pairs: 4)
        lab.guest.post()
        var guests = [lab.guest]
        for pair in 1..<4 {
            let guest = VirtioFrontEnd(options, memory: lab.guest.memory)
            guests.append(guest)
            for (index, queue) in [
                (2 * pair, guest.receiveQueue), (2 * pair + 1, guest.transmitQueue),
            ] {
                try lab.port.startQueue(index, VhostDeviceLab.setup(queue, options))
                lab.port.setEnabled(index, true)
            }
            guest.post()
        }
        var places: [Int: Int] = [:]
        for round in 0..<4 {
            let entries = (0..<128).map { place in
                // Some with a tag, and so in two pieces.
                VhostDeviceLab.Entry(
                    bytes: flow(place % 32, payload: 20 + place / 32 + 10 * round),
                    head: place % 2 == 0 ? nil : 12, body: place % 2 == 0 ? 0 : 50)
            }
            #expect(lab.transmit(entries).allSatisfy { $0 == .none })
            for (pair, guest) in guests.enumerated() {
                var last: [Int: Int] = [:]
                for received in guest.receive() {
                    let port = Int(received.frame[34]) << 8 | Int(received.frame[35])
                    #expect(places[port, default: pair] == pair)
                    places[port] = pair
                    #expect(last[port, default: 0] < received.frame.count)
                    last[port] = received.frame.count
                }
            }
        }
        #expect(places.count == 32)
        #expect(Set(places.values).count == 4)
    }

    @Test("A full queue does not keep the others from being received from")
    func fairness() throws {
        let lab = try VhostDeviceLab(pairs: 2)
        let second = VirtioFrontEnd(lab.guest.options, memory: lab.guest.memory)
        try lab.port.startQueue(3, VhostDeviceLab.setup(second.transmitQueue, second.options))
        lab.port.setEnabled(3, true)
        for _ in 0..<200 { _ = lab.guest.send(testFrame(60)) }
        lab.guest.publish()
        _ = second.send(testFrame(99))
        second.publish()
        let sizes = lab.receive().map(\.bytes.count) + lab.receive().map(\.bytes.count)
        #expect(sizes.contains(99))
    }

    // MARK: Logging

    @Test("Pages that were written are logged, and few others", arguments: [false, true])
    func dirtyLog(isPacked: Bool) throws {
        var options = VirtioFrontEnd.Options()
        options.isPacked = isPacked
        options.queueSize = 8
        options.receivePieces = [1000, 9000]
        let lab = try VhostDeviceLab(
            options, memory: VirtioFrontEndMemory([1 << 19]), isStarted: false)
        for index in 0...1 {
            var setup = lab.setup(index)
            setup.usedLogAddress =
                (index == 0 ? lab.guest.receiveQueue : lab.guest.transmitQueue).usedAddress
            try lab.port.startQueue(index, setup)
            lab.port.setEnabled(index, true)
        }
        lab.guest.post()
        let region = lab.guest.memory.regions[0]
        let first = Int(region.guestAddress) / 4096
        let logByteCount = (first + region.byteCount / 4096) / 8
        let bits = UnsafeMutableRawPointer.allocate(byteCount: logByteCount, alignment: 8)
        defer { bits.deallocate() }
        bits.initializeMemory(as: UInt8.self, repeating: 0, count: logByteCount)
        func isLogged(_ page: Int) -> Bool {
            (bits + (first + page) / 8).load(as: UInt8.self) >> UInt8((first + page) % 8) & 1 == 1
        }
        #expect(lab.transmit(testFrame(60)) == .none)
        let pages = 0..<region.byteCount / 4096
        #expect(!pages.contains(where: isLogged))
        lab.port.setDirtyLog(DirtyLog(bits, byteCount: logByteCount))
        _ = lab.guest.send(testFrame(500))
        lab.guest.publish()
        let before = lab.guest.memory.read(region.guestAddress, region.byteCount)
        for size in [60, 2000, 9000] { #expect(lab.transmit(testFrame(size)) == .none) }
        #expect(lab.receive().count == 1)
        lab.port.setDirtyLog(nil)
        let after = lab.guest.memory.read(region.guestAddress, region.byteCount)
        var written = 0
        for page in pages {
            let range = page * 4096..<(page + 1) * 4096
            guard before[range] != after[range] else { continue }
            written += 1
            #expect(isLogged(page), "page \(page)")
        }
        #expect(written >= 5)
        // A ring is logged as a whole.
        #expect(pages.count(where: isLogged) <= written + 2)
        #expect(lab.guest.receive().count == 4)
    }
}
