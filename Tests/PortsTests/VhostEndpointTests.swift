import CLinux
import Glibc
import Synchronization
import Testing
import Wire

@testable import Ports

@Suite("A vhost-user port meets its front-ends one at a time")
struct VhostEndpointTests {
    private typealias Test = VhostTestMessage

    /// A port with a recording device, on a loop of its own.
    private final class Lab: @unchecked Sendable {
        // @unchecked: a test has one thread, and waits for the loop's.
        private static let count = Mutex(0)
        let loop: PeerLoop
        let device = VhostRecordingDevice()
        let endpoint: VhostEndpoint
        let states = Mutex<[PeerState]>([])
        let path: String

        init(isServer: Bool = true, queuePairs: Int = 2) throws {
            let number = Lab.count.withLock { count in
                count += 1
                return count
            }
            path = "/tmp/heddle-test-\(getpid())-vhost-\(number).sock"
            loop = try PeerLoop()
            try loop.start()
            endpoint = VhostEndpoint(
                VhostEndpoint.Settings(
                    path: path, isServer: isServer, queuePairs: queuePairs,
                    access: UnixEndpoint.Access(), mtu: 1500), loop: loop)
        }

        func open() throws {
            try endpoint.open(device) { [self] state in states.withLock { $0.append(state) } }
        }

        func close() {
            endpoint.close()
            loop.stop()
            unlink(path)
        }

        /// Waits up to ten seconds.
        func waitForState(_ isRight: (PeerState) -> Bool) -> Bool {
            for _ in 0..<1000 {
                if isRight(endpoint.state) { return true }
                usleep(10000)
            }
            return false
        }

        var isFailed: Bool {
            waitForState { if case .failed = $0 { true } else { false } }
        }
    }

    private static func region(_ file: VhostTestFile) -> VhostMemoryRegion {
        VhostMemoryRegion(
            guestAddress: 0x10_0000, regionByteCount: UInt64(file.byteCount),
            frontEndAddress: 0x7F00_0000, offset: 0)
    }

    /// What QEMU says, in its order.
    private static func startDriver(
        _ frontEnd: VhostTestFrontEnd, _ file: VhostTestFile, _ events: [Int32]
    ) -> Bool {
        guard
            frontEnd.ask(.getFeatures)?.count == 8,
            frontEnd.ask(.getProtocolFeatures)?.count == 8
        else { return false }
        frontEnd.say(
            .setProtocolFeatures, Test.long(VhostProtocolFeatures.offered.rawValue))
        guard frontEnd.ask(.getQueueLimit) == Test.long(2) else { return false }
        frontEnd.say(.setOwner)
        for queue in 0..<2 {
            frontEnd.say(.setRingCall, Test.long(UInt64(queue)), [events[queue]])
            frontEnd.say(.setRingError, Test.long(UInt64(queue)), [events[2]])
        }
        let features = VirtioFeature.version1 | VirtioFeature.protocolFeatures
        guard frontEnd.sayAndWait(.setFeatures, Test.long(features)),
            frontEnd.sayAndWait(.setMemoryTable, Test.table([region(file)]), [file.descriptor])
        else { return false }
        for queue: UInt32 in 0..<2 {
            frontEnd.say(.setRingSize, Test.state(queue, 256))
            frontEnd.say(.setRingBase, Test.state(queue, 0))
            frontEnd.say(
                .setRingAddress,
                Test.address(queue, VhostTestSession.address(at: UInt64(queue) * 0x1_0000)))
            frontEnd.say(.setRingKick, Test.long(UInt64(queue)), [events[3]])
            guard frontEnd.sayAndWait(.setRingEnable, Test.state(queue, 1)) else { return false }
        }
        return true
    }

    private static func makeEvents() -> [Int32] { (0..<4).map { _ in eventfd(0, 0) } }

    @Test("as a server it serves one front-end after the other, and refuses a second beside it")
    func server() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        #expect(lab.endpoint.state == .waiting("waiting for a front-end at \(lab.path)"))
        let events = Self.makeEvents()
        defer { for event in events { close(event) } }
        let file = VhostTestFile(byteCount: 1 << 20)
        for _ in 0..<3 {
            let first = try #require(VhostTestFrontEnd(path: lab.path))
            #expect(Self.startDriver(first, file, events))
            #expect(
                lab.waitForState {
                    guard case .connected(let sentence) = $0 else { return false }
                    return sentence.hasSuffix("pid \(getpid()), 1 queue pair, split ring")
                })
            #expect(lab.device.running.count == 2 && lab.device.enabled == [0, 1])

            let second = try #require(VhostTestFrontEnd(path: lab.path))
            #expect(second.isClosed)
            #expect(first.ask(.getFeatures)?.count == 8, "the first goes on")
            shutdown(first.descriptor, Int32(SHUT_RDWR))
            #expect(lab.waitForState { !$0.isConnected })
            #expect(lab.device.running.isEmpty && lab.device.memory == nil)
        }
        for descriptor in events + [file.descriptor] {
            #expect(lab.waitForState { _ in openCount(of: descriptor) == 1 })
        }
        lab.endpoint.close()
        #expect(access(lab.path, F_OK) != 0, "the socket's file is gone")
    }

    @Test("a front-end whose predecessor has just died is not refused")
    func successor() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        for _ in 0..<50 {
            var first = VhostTestFrontEnd(path: lab.path)
            #expect(first?.ask(.getFeatures)?.count == 8)
            first = nil
            let second = try #require(VhostTestFrontEnd(path: lab.path))
            #expect(second.ask(.getFeatures)?.count == 8)
        }
    }

    @Test("as a client it waits for a front-end to listen, and for the next when it has gone")
    func client() throws {
        let lab = try Lab(isServer: false)
        try lab.open()
        defer { lab.close() }
        #expect(
            lab.endpoint.state
                == .waiting("waiting for a front-end to listen at \(lab.path)"))
        for _ in 0..<3 {
            let listener = try UnixEndpoint.bind(
                .stream, lab.path, access: UnixEndpoint.Access())
            var interest = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            #expect(poll(&interest, 1, 5000) == 1)
            let frontEnd = VhostTestFrontEnd(try #require(UnixEndpoint.accept(listener)))
            #expect(frontEnd.ask(.getFeatures)?.count == 8)
            close(listener)
        }
        #expect(lab.waitForState { if case .waiting = $0 { true } else { false } })
    }

    @Test("a message that must not be closes the connection, and the state says why")
    func refusal() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
        frontEnd.send(VhostTestMessage.bytes(.setFeatures, [1, 2, 3]))
        #expect(frontEnd.isClosed)
        #expect(lab.isFailed)
        #expect(
            lab.endpoint.state
                == .failed(
                    "the front-end's message VHOST_USER_SET_FEATURES has 3 bytes of payload, which "
                        + "is not its size"))
        let next = try #require(VhostTestFrontEnd(path: lab.path))
        #expect(next.ask(.getFeatures)?.count == 8, "the next is served")
    }

    @Test("a front-end that cuts its memory short is parted with")
    func cutShort() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let events = Self.makeEvents()
        defer { for event in events { close(event) } }
        let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
        let file = VhostTestFile(byteCount: 1 << 20)
        #expect(Self.startDriver(frontEnd, file, events))
        let memory = try #require(lab.device.memory)
        file.cut(to: 0)
        #expect(memory[0].host.load(as: UInt8.self) == 0)
        #expect(frontEnd.isClosed)
        #expect(lab.isFailed)
        #expect(lab.device.running.isEmpty)
    }

    @Test("a fault of the device makes the port fail, tells the front-end and keeps the connection")
    func deviceFault() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let events = Self.makeEvents()
        defer { for event in events { close(event) } }
        let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
        let file = VhostTestFile(byteCount: 1 << 20)
        #expect(Self.startDriver(frontEnd, file, events))
        lab.device.find(VhostFault("queue 1: a descriptor points nowhere"), in: 1)
        var count: UInt64 = 0
        var interest = pollfd(fd: events[2], events: Int16(POLLIN), revents: 0)
        #expect(poll(&interest, 1, 5000) == 1)
        #expect(read(events[2], &count, 8) == 8)
        #expect(lab.isFailed)
        #expect(lab.device.running.isEmpty)
        #expect(frontEnd.ask(.getRingBase, Test.state(1, 0)) == Test.state(1, 0))
        frontEnd.say(.setRingKick, Test.long(1), [events[3]])
        #expect(frontEnd.sayAndWait(.setOwner))
        #expect(lab.waitForState { $0.isConnected })
    }

    @Test("a file for buffers in flight reaches the front-end")
    func inflight() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
        let wanted = VhostInflight(byteCount: 0, offset: 0, queueCount: 2, queueSize: 256)
        frontEnd.say(.getInflight, Test.inflight(wanted))
        var assembler: [UInt8] = [UInt8](repeating: 0, count: 36)
        let room = clinux_cmsg_space(4)
        let control = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 8)
        defer { control.deallocate() }
        let passed = assembler.withUnsafeMutableBytes { bytes -> Int32? in
            var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            return withUnsafeMutablePointer(to: &piece) { piece in
                var message = msghdr()
                message.msg_iov = piece
                message.msg_iovlen = 1
                message.msg_control = control
                message.msg_controllen = room
                guard recvmsg(frontEnd.descriptor, &message, 0) == 36,
                    let header = clinux_cmsg_first(&message)
                else { return nil }
                return UnsafeRawPointer(clinux_cmsg_data(header)!).load(as: Int32.self)
            }
        }
        let file = try #require(passed)
        defer { close(file) }
        var status = stat()
        fstat(file, &status)
        let byteCount = assembler.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
        }
        #expect(status.st_size == Int(byteCount) && byteCount > 0)
    }

    @Test("messages that come a byte at a time are served, and nobody waits for the rest")
    func dribble() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
        let bytes = VhostTestMessage.bytes(.setOwner, flags: 9)
        for byte in bytes.dropLast() { #expect(frontEnd.send([byte])) }
        // The loop is not held up by the byte that is missing.
        let other = try Lab()
        try other.open()
        let count = Mutex(0)
        lab.loop.run { count.withLock { $0 = 1 } }
        #expect(lab.waitForState { _ in count.withLock { $0 == 1 } })
        other.close()
        #expect(frontEnd.send([bytes.last!]))
        #expect(frontEnd.read(20)?.count == 20)
    }

    @Test("a front-end that never reads its answers makes nothing pile up")
    func neverReads() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
        let flags = clinux_fcntl_value(frontEnd.descriptor, F_GETFL, 0)
        _ = clinux_fcntl_value(frontEnd.descriptor, F_SETFL, Int(flags | O_NONBLOCK))
        let question = VhostTestMessage.bytes(.getFeatures)
        var asked = 0
        var refusals = 0
        while refusals < 20, asked < 1_000_000 {
            if frontEnd.send(question) {
                asked += 1
                refusals = 0
            } else {
                refusals += 1
                usleep(5000)
            }
        }
        #expect(asked < 1_000_000, "at some point the socket is full, and stays so")
        _ = clinux_fcntl_value(frontEnd.descriptor, F_SETFL, Int(flags))
        for _ in 0..<asked { #expect(frontEnd.read(20)?.count == 20) }
    }

    @Test("descriptors that come in floods, in pieces or for nothing are all closed")
    func descriptorFloods() throws {
        let lab = try Lab()
        try lab.open()
        defer { lab.close() }
        let file = VhostTestFile(byteCount: 4096)
        let event = eventfd(0, 0)
        defer { close(event) }
        let many = [Int32](repeating: file.descriptor, count: 200)
        for (bytes, descriptors, why) in [
            (Test.bytes(.setOwner), many, "200 with what takes none"),
            (Test.bytes(.setOwner), Array(many.prefix(8)), "8 with what takes none"),
            (Test.bytes(.setOwner), Array(many.prefix(9)), "9"),
            (Array(Test.bytes(.setOwner).prefix(5)), Array(many.prefix(8)), "half a header"),
            (Test.bytes(.setMemoryTable, Test.table([])), Array(many.prefix(8)), "no regions"),
            (Test.bytes(.setRingKick, Test.long(250)), [event], "no such queue"),
            (Test.bytes(.setRingKick, Test.long(0)), [file.descriptor], "not an eventfd"),
            (Test.bytes(4711), Array(many.prefix(8)), "nothing that is known"),
            (Test.bytes(.setLogDescriptor), [event], "what is not used"),
            (Test.bytes(.setBackEndChannel), [event], "what is kept"),
            (Test.bytes(22), [event], "what is not served"),
        ] as [([UInt8], [Int32], String)] {
            for _ in 0..<10 {
                let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
                #expect(frontEnd.send(bytes, descriptors))
                shutdown(frontEnd.descriptor, Int32(SHUT_WR))
                #expect(frontEnd.isClosed, "\(why)")
            }
            for descriptor in [file.descriptor, event] {
                #expect(lab.waitForState { _ in openCount(of: descriptor) == 1 }, "\(why)")
            }
        }
    }

    @Test("close takes it out of service while a front-end is being served")
    func closing() throws {
        for isServer in [true, false] {
            let lab = try Lab(isServer: isServer)
            let listener =
                isServer
                ? -1
                : try UnixEndpoint.bind(.stream, lab.path, access: UnixEndpoint.Access())
            try lab.open()
            if isServer {
                let frontEnd = try #require(VhostTestFrontEnd(path: lab.path))
                #expect(frontEnd.ask(.getFeatures)?.count == 8)
                lab.close()
                #expect(frontEnd.isClosed)
            } else {
                lab.close()
                close(listener)
            }
            #expect(!lab.endpoint.state.isConnected)
        }
    }
}
