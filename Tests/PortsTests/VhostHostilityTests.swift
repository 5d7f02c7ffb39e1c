import CLinux
import Dataplane
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Ports

/// Real ports with a real worker, and front-ends that want them no good.
@Suite("A hostile front-end harms nobody but itself")
struct VhostHostilityTests {
    private typealias Test = VhostTestMessage

    /// A switch of two ports: one is attacked, the other has its guest.
    private final class Lab: @unchecked Sendable {
        // @unchecked: one thread, the test's.
        private static let count = Mutex(0)
        let loop: PeerLoop
        let ports: [VhostUserPort]
        let paths: [String]
        private let fabric = Fabric(workers: 1)
        private let worker: WorkerThread

        init() throws {
            let number = Lab.count.withLock { count in
                count += 1
                return count
            }
            loop = try PeerLoop()
            try loop.start()
            let paths = (0..<2).map { "/tmp/heddle-test-\(getpid())-hostile-\(number)-\($0).sock" }
            self.paths = paths
            ports = try paths.map { [loop] in
                try VhostUserPort(
                    name: $0, path: $0, isServer: true, queuePairs: 2,
                    access: UnixEndpoint.Access(), mtu: 1500, loop: loop)
            }
            for port in ports { try port.open { _ in } }
            worker = try WorkerThread(fabric: fabric, index: 0)
            _ = fabric.publish(
                DataplaneConfiguration(
                    domains: [DomainConfiguration(number: 1, vid: 0)],
                    ports: ports.enumerated().map {
                        PortConfiguration(
                            number: UInt16($0.offset), membership: .access(domain: 1),
                            port: $0.element)
                    }))
            try worker.start()
        }

        func close() {
            worker.stop()
            for port in ports { port.close() }
            loop.stop()
        }

        func connect(_ port: Int) throws -> VhostTestFrontEnd {
            try #require(VhostTestFrontEnd(path: paths[port]))
        }

        func waitForState(_ port: Int, _ isRight: (PeerState) -> Bool) -> Bool {
            for _ in 0..<1000 {
                if isRight(ports[port].peerState) { return true }
                usleep(10000)
            }
            return false
        }
    }

    private struct Message {
        var bytes: [UInt8]
        var descriptors: [Int32]
    }

    private static let region = VhostMemoryRegion(
        guestAddress: 0x10_0000, regionByteCount: 1 << 20, frontEndAddress: 0x7F00_0000, offset: 0)

    /// What a front-end says until its driver runs.
    private static func greeting(
        _ file: VhostTestFile, _ event: Int32, _ features: UInt64
    ) -> [Message] {
        var messages: [Message] = []
        func say(_ request: VhostRequest, _ payload: [UInt8] = [], _ descriptors: [Int32] = []) {
            messages.append(Message(bytes: Test.bytes(request, payload), descriptors: descriptors))
        }
        say(.setOwner)
        say(.setProtocolFeatures, Test.long(VhostProtocolFeatures.offered.rawValue))
        say(.setFeatures, Test.long(features))
        say(.setMemoryTable, Test.table([region]), [file.descriptor])
        for queue: UInt32 in 0..<2 {
            say(.setRingCall, Test.long(UInt64(queue)), [event])
            say(.setRingError, Test.long(UInt64(queue)), [event])
            say(.setRingSize, Test.state(queue, 256))
            say(.setRingBase, Test.state(queue, 0))
            say(
                .setRingAddress,
                Test.address(
                    queue, VhostTestSession.address(at: UInt64(queue) * 0x1_0000, flags: queue)))
            say(.setRingKick, Test.long(UInt64(queue)), [event])
            say(.setRingEnable, Test.state(queue, 1))
        }
        say(.setLogBase, Test.long(4096) + Test.long(0), [file.descriptor])
        say(
            .getInflight,
            Test.inflight(
                VhostInflight(
                    byteCount: 0, offset: 0, queueCount: 2, queueSize: 256)))
        say(.getRingBase, Test.state(0, 0))
        say(.getFeatures)
        return messages
    }

    /// A front-end's messages with some of them wrong.
    private static func mutate(
        _ messages: [Message], _ file: VhostTestFile, _ event: Int32, _ random: inout SeededRandom
    ) -> [Message] {
        var messages = messages
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let place = Int.random(in: messages.indices, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0: messages.remove(at: place)
            case 1:
                let other = Int.random(in: messages.indices, using: &random)
                messages.swapAt(place, other)
            case 2: messages.insert(messages[place], at: place)
            case 3:
                let byte = Int.random(in: messages[place].bytes.indices, using: &random)
                messages[place].bytes[byte] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 4:
                let byte = Int.random(in: messages[place].bytes.indices, using: &random)
                messages[place].bytes[byte] = UInt8(truncatingIfNeeded: random.next())
            case 5:
                messages[place].descriptors = (0..<Int.random(in: 0...12, using: &random)).map {
                    _ in
                    Bool.random(using: &random) ? file.descriptor : event
                }
            case 6:
                messages[place].bytes.removeLast(
                    Int.random(in: 1...messages[place].bytes.count - 1, using: &random))
            default: messages[place].bytes += random.bytes(Int.random(in: 1...40, using: &random))
            }
        }
        return messages
    }

    /// Fills the rings with what may look like buffers.
    private static func scribble(_ file: VhostTestFile, _ random: inout SeededRandom) {
        var bytes = random.bytes(0x2_0000)
        for place in stride(from: 0, to: bytes.count, by: 16) where Bool.random(using: &random) {
            // An address in memory.
            bytes[place + 2] = 0x10 | bytes[place + 2] & 0xF
            for byte in 3..<8 { bytes[place + byte] = 0 }
        }
        pwrite(file.descriptor, bytes, bytes.count, 0)
    }

    @Test("mutated conversations, rings of garbage and files cut short, one after the other")
    func mutations() throws {
        let lab = try Lab()
        defer { lab.close() }
        let event = eventfd(0, Int32(EFD_NONBLOCK))
        let bystanderFile = VhostTestFile(byteCount: 1 << 20)
        let bystanderEvent = eventfd(0, Int32(EFD_NONBLOCK))
        defer {
            close(event)
            close(bystanderEvent)
        }
        let features = VirtioFeature.version1 | VirtioFeature.protocolFeatures
        let bystander = try lab.connect(1)
        for message in Self.greeting(bystanderFile, bystanderEvent, features).dropLast(4) {
            #expect(bystander.send(message.bytes, message.descriptors))
        }
        #expect(lab.waitForState(1) { $0.isConnected })

        for seed in 0..<250 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let file = VhostTestFile(byteCount: 1 << 20)
            if Bool.random(using: &random) { Self.scribble(file, &random) }
            var features = features
            if Bool.random(using: &random) { features |= VirtioFeature.ringPacked }
            if Bool.random(using: &random) { features |= VirtioFeature.logAll }
            if Bool.random(using: &random) { features |= VirtioFeature.eventIndex }
            let messages = Self.mutate(
                Self.greeting(file, event, features), file, event, &random)
            let frontEnd = try lab.connect(0)
            let cut = Int.random(in: 0..<3 * messages.count, using: &random)
            for (place, message) in messages.enumerated() {
                if place == cut { file.cut(to: Int.random(in: 0...8192, using: &random)) }
                var one: UInt64 = 1
                _ = write(event, &one, 8)
                // It may have been put out already.
                guard frontEnd.send(message.bytes, message.descriptors) else { break }
            }
            shutdown(frontEnd.descriptor, Int32(SHUT_WR))
            #expect(frontEnd.isParted, "seed \(seed)")
            #expect(
                lab.waitForState(0) { _ in openCount(of: file.descriptor) == 1 }, "seed \(seed)")
            guard case .connected = lab.ports[1].peerState else {
                Issue.record("seed \(seed) harmed the other port: \(lab.ports[1].peerState)")
                return
            }
        }
        #expect(lab.waitForState(0) { _ in openCount(of: event) == 1 })

        let file = VhostTestFile(byteCount: 1 << 20)
        let good = try lab.connect(0)
        for message in Self.greeting(file, event, features).dropLast(4) {
            #expect(good.send(message.bytes, message.descriptors))
        }
        #expect(
            lab.waitForState(0) { $0.isConnected },
            "an honest one is served after all that, not: \(lab.ports[0].peerState)")
        #expect(bystander.ask(.getFeatures)?.count == 8)
    }

    @Test("random bytes with random descriptors end in a closed connection and no open descriptor")
    func noise() throws {
        let lab = try Lab()
        defer { lab.close() }
        let file = VhostTestFile(byteCount: 1 << 20)
        for seed in 1000..<1150 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let frontEnd = try lab.connect(0)
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                let descriptors = [Int32](
                    repeating: file.descriptor, count: Int.random(in: 0...20, using: &random))
                let bytes = random.bytes(Int.random(in: 1...64, using: &random))
                guard frontEnd.send(bytes, descriptors) else { break }
            }
            shutdown(frontEnd.descriptor, Int32(SHUT_WR))
            #expect(frontEnd.isParted, "seed \(seed)")
        }
        #expect(lab.waitForState(0) { _ in openCount(of: file.descriptor) == 1 })
    }
}
