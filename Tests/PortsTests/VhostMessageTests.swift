import Testing

@testable import Ports

@Suite("A front-end's messages are taken whole or not at all")
struct VhostMessageTests {
    private func parse(
        _ bytes: [UInt8], descriptors: Int = 0
    ) throws -> VhostMessageAssembler.Complete? {
        var assembler = VhostMessageAssembler()
        var rest = bytes[...]
        var passed = (0..<descriptors).map { _ in PassedDescriptor(-1, close: { _ in }) }
        while !rest.isEmpty {
            let piece = Array(rest.prefix(assembler.wantedByteCount))
            rest = rest.dropFirst(piece.count)
            let complete = try piece.withUnsafeBytes { try assembler.add($0, passed) }
            passed = []
            if let complete {
                #expect(rest.isEmpty)
                return complete
            }
        }
        return nil
    }

    private static let region = VhostMemoryRegion(
        guestAddress: 0x1000, regionByteCount: 0x2000, frontEndAddress: 0x7F00_0000, offset: 0x10)
    private static let address = VhostRingAddress(
        flags: 1, descriptors: 0x1111, used: 0x2222, available: 0x3333, log: 0x4444)
    private static let inflight = VhostInflight(
        byteCount: 4096, offset: 8, queueCount: 2, queueSize: 256)

    /// A request's bytes, its descriptors, and what it says.
    private static let table: [([UInt8], Int, VhostMessage)] = {
        typealias Test = VhostTestMessage
        return [
            (Test.bytes(.getFeatures), 0, .getFeatures),
            (
                Test.bytes(.setFeatures, Test.long(0x1_4000_0000)), 0,
                .setFeatures(0x1_4000_0000)
            ),
            (Test.bytes(.setOwner), 0, .setOwner),
            (Test.bytes(.resetOwner), 0, .resetOwner),
            (Test.bytes(.setMemoryTable, Test.table([region])), 1, .setMemoryTable([region])),
            // User-mode Linux: room for two.
            (
                Test.bytes(
                    .setMemoryTable, Test.table([region]) + [UInt8](repeating: 0, count: 32)), 1,
                .setMemoryTable([region])
            ),
            (
                Test.bytes(.setLogBase, Test.long(8192) + Test.long(16)), 1,
                .setLogBase(byteCount: 8192, offset: 16)
            ),
            (Test.bytes(.setLogDescriptor), 1, .setLogDescriptor),
            (Test.bytes(.setRingSize, Test.state(1, 256)), 0, .setRingSize(queue: 1, 256)),
            (
                Test.bytes(.setRingAddress, Test.address(3, address)), 0,
                .setRingAddress(queue: 3, address)
            ),
            (Test.bytes(.setRingBase, Test.state(1, 7)), 0, .setRingBase(queue: 1, 7)),
            (Test.bytes(.getRingBase, Test.state(2, 0)), 0, .getRingBase(queue: 2)),
            (Test.bytes(.setRingKick, Test.long(2)), 1, .setRingKick(queue: 2, true)),
            (Test.bytes(.setRingKick, Test.long(0x102)), 0, .setRingKick(queue: 2, false)),
            (Test.bytes(.setRingCall, Test.long(0)), 1, .setRingCall(queue: 0, true)),
            (Test.bytes(.setRingError, Test.long(0x1FF)), 0, .setRingError(queue: 255, false)),
            (Test.bytes(.getProtocolFeatures), 0, .getProtocolFeatures),
            (Test.bytes(.setProtocolFeatures, Test.long(9)), 0, .setProtocolFeatures(9)),
            (Test.bytes(.getQueueLimit), 0, .getQueueLimit),
            (Test.bytes(.setRingEnable, Test.state(1, 1)), 0, .setRingEnable(queue: 1, 1)),
            (
                Test.bytes(.sendRARP, [2, 0, 0, 0, 0, 9, 0, 0]), 0,
                .sendRARP([2, 0, 0, 0, 0, 9])
            ),
            (Test.bytes(.setMTU, Test.long(1500)), 0, .setMTU(1500)),
            (Test.bytes(.setBackEndChannel), 1, .setBackEndChannel),
            (
                Test.bytes(
                    .getConfiguration, Test.state(0, 2) + [0, 0, 0, 0] + [0, 0]), 0,
                .getConfiguration(offset: 0, byteCount: 2)
            ),
            (
                Test.bytes(.setConfiguration, Test.state(4, 1) + [1, 0, 0, 0] + [0xAB]), 0,
                .setConfiguration(offset: 4, flags: 1, [0xAB])
            ),
            (Test.bytes(.getInflight, Test.inflight(inflight)), 0, .getInflight(inflight)),
            (Test.bytes(.setInflight, Test.inflight(inflight)), 1, .setInflight(inflight)),
            (Test.bytes(.resetDevice), 0, .resetDevice),
            (Test.bytes(.getMemorySlotLimit), 0, .getMemorySlotLimit),
            (
                Test.bytes(.addMemoryRegion, Test.long(0) + Test.region(region)), 1,
                .addMemoryRegion(region)
            ),
            (
                Test.bytes(.removeMemoryRegion, Test.long(0) + Test.region(region)), 0,
                .removeMemoryRegion(region)
            ),
            (
                Test.bytes(.removeMemoryRegion, Test.long(0) + Test.region(region)), 1,
                .removeMemoryRegion(region)
            ),
            (Test.bytes(.setStatus, Test.long(15)), 0, .setStatus(15)),
            (Test.bytes(.getStatus), 0, .getStatus),
            // IOTLB: known by name, not served.
            (Test.bytes(22, [UInt8](repeating: 1, count: 32)), 0, .unknown(22)),
            (Test.bytes(4711), 3, .unknown(4711)),
        ]
    }()

    @Test("each request is read as the specification has it")
    func requests() throws {
        for (bytes, descriptors, message) in Self.table {
            let complete = try #require(try parse(bytes, descriptors: descriptors))
            #expect(complete.message == message)
            #expect(complete.descriptors.count == descriptors)
            #expect(!complete.header.needsReply)
        }
        let served = Set(Self.table.map { $0.0.withUnsafeBytes { $0.load(as: UInt32.self) } })
        #expect(served.isSuperset(of: VhostRequest.allCases.map(\.rawValue)))
    }

    @Test("a request of any other size is refused")
    func sizes() throws {
        for (bytes, descriptors, message) in Self.table {
            if case .unknown = message { continue }
            let request = bytes.withUnsafeBytes { $0.load(as: UInt32.self) }
            let payload = Array(bytes.dropFirst(12))
            for count in 0...400 where count != payload.count {
                let other = Array((payload + [UInt8](repeating: 0, count: 400)).prefix(count))
                guard
                    let complete = try? parse(
                        VhostTestMessage.bytes(request, other), descriptors: descriptors)
                else { continue }
                // What remains are requests whose payload says how long it is, or has two sizes.
                switch complete.message {
                case .setMemoryTable(let regions):
                    #expect(regions.count == descriptors && (count - 8) % 32 == 0)
                case .getInflight, .setInflight: #expect(count == 20)
                case .setLogDescriptor: #expect(count == 8)
                default: Issue.record("\(complete.message) of \(count) bytes")
                }
            }
        }
    }

    @Test("a request with any other number of descriptors is refused")
    func descriptorCounts() throws {
        for (bytes, descriptors, message) in Self.table {
            for count in 0...8 where count != descriptors {
                let complete = try? parse(bytes, descriptors: count)
                switch (message, count) {
                case (.unknown, _), (.removeMemoryRegion, 0...1): #expect(complete != nil)
                default: #expect(complete == nil, "\(message) with \(count) descriptors")
                }
            }
        }
    }

    @Test("a header that is none of vhost-user's is refused as soon as it is there")
    func headers() {
        for (bytes, why) in [
            (VhostTestMessage.bytes(.getFeatures, flags: 0), "version 0"),
            (VhostTestMessage.bytes(.getFeatures, flags: 2), "version 2"),
            (VhostTestMessage.bytes(.getFeatures, flags: 5), "a reply"),
            (
                VhostTestMessage.bytes(1, [UInt8](repeating: 0, count: 4097)),
                "more than any message"
            ),
        ] {
            #expect(throws: VhostFault.self, "\(why)") {
                _ = try parse(Array(bytes.prefix(12)))
            }
        }
    }

    @Test("a stream that comes a byte at a time gives the same messages")
    func dribbled() throws {
        let stream = Self.table.filter { $0.1 == 0 }
        var assembler = VhostMessageAssembler()
        var found: [VhostMessage] = []
        for byte in stream.flatMap({ $0.0 }) {
            let complete = try withUnsafeBytes(of: byte) { try assembler.add($0) }
            if let complete { found.append(complete.message) }
        }
        #expect(found == stream.map { $0.2 })
    }

    @Test(
        "descriptors that come with a piece of the header each are all of the message, up to eight")
    func scatteredDescriptors() throws {
        var open = 0
        func descriptor() -> PassedDescriptor {
            open += 1
            return PassedDescriptor(7, close: { _ in open -= 1 })
        }
        var assembler = VhostMessageAssembler()
        let bytes = VhostTestMessage.bytes(.setMemoryTable, [])
        for place in 0..<8 {
            _ = try withUnsafeBytes(of: bytes[place]) { try assembler.add($0, [descriptor()]) }
        }
        #expect(open == 8)
        #expect(throws: VhostFault.self) {
            _ = try withUnsafeBytes(of: bytes[8]) { try assembler.add($0, [descriptor()]) }
        }
        assembler = VhostMessageAssembler()
        #expect(open == 0)
    }

    @Test("replies are a header with the reply flag and version 1, and what was asked for")
    func replies() {
        #expect(
            VhostReply.number(0x0102, to: 1).bytes
                == [1, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0])
        #expect(
            VhostReply.ringBase(queue: 3, 0x8001_8002).bytes
                == [11, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 2, 0x80, 1, 0x80])
        #expect(VhostReply.empty(to: .setLogBase).bytes == [6, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0])
        let wanted = Self.inflight
        #expect(VhostReply.inflight(wanted, nil).bytes.count == 12 + 24)
        #expect(
            VhostReply.configuration(offset: 0, [1, 2]).bytes.dropFirst(12)
                == [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2])
        #expect(VhostReply.configuration(offset: 0, nil).bytes.count == 12)
    }
}
