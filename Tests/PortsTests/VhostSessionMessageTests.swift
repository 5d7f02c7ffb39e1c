import Testing

@testable import Ports

@Suite("A vhost-user session negotiates and answers")
struct VhostSessionMessageTests {
    private typealias Test = VhostTestMessage

    @Test("what is offered is said, and nothing else is accepted")
    func features() throws {
        let test = VhostTestSession()
        let offered = try Test.number(test.say(.getFeatures))
        #expect(offered & VirtioFeature.version1 != 0)
        #expect(offered & VirtioFeature.mtu != 0, "the MTU is known")
        #expect(offered & VirtioFeature.accessPlatform == 0, "no IOMMU")
        #expect(try Test.number(test.say(.getQueueLimit)) == 2)
        try test.say(.setFeatures, Test.long(offered))
        #expect(throws: VhostFault.self) {
            try test.say(.setFeatures, Test.long(VirtioFeature.accessPlatform))
        }
        #expect(throws: VhostFault.self) {
            try test.say(.setProtocolFeatures, Test.long(1 << 8))
        }
        #expect(
            try Test.number(VhostTestSession(mtu: nil).say(.getFeatures)) & VirtioFeature.mtu == 0)
    }

    @Test("QEMU, which asks before it owns the session, is not told of a configuration")
    func configurationOffer() throws {
        let test = VhostTestSession()
        let bit = VhostProtocolFeatures.configuration.rawValue
        #expect(try Test.number(test.say(.getProtocolFeatures)) & bit == 0)
        try test.say(.setOwner)
        #expect(
            try Test.number(test.say(.getProtocolFeatures)) & bit == 0, "for the next queue pair")
        let other = VhostTestSession()
        try other.say(.setOwner)
        #expect(try Test.number(other.say(.getProtocolFeatures)) & bit != 0)
    }

    @Test("without shared memory the state says how memory is shared")
    func noMemory() throws {
        let test = VhostTestSession()
        try test.negotiate()
        try test.giveRing(0)
        #expect(test.device.running.isEmpty)
        #expect(test.session.problem?.contains("share=on") == true)
    }

    @Test("the device's configuration has a link, queue pairs and an MTU")
    func configuration() throws {
        let test = VhostTestSession(queuePairs: 2, mtu: 1400)
        func read(_ offset: UInt32, _ count: Int) throws -> [UInt8]? {
            try test.say(
                .getConfiguration,
                Test.state(offset, UInt32(count)) + [0, 0, 0, 0]
                    + [UInt8](repeating: 0, count: count)
            ).map { Array($0.dropFirst(12)) }
        }
        #expect(try read(6, 6) == [1, 0, 2, 0, 0x78, 0x05])
        #expect(try read(0, 256)?.count == 256)
        #expect(try read(255, 2) == [], "an error has no payload")
        #expect(try read(.max, 1) == [])
        let write = { (offset: UInt32, flags: UInt8, count: Int) in
            try test.say(
                .setConfiguration,
                Test.state(offset, UInt32(count)) + [flags, 0, 0, 0]
                    + [UInt8](repeating: 0, count: count))
        }
        _ = try write(0, 0, 6)
        _ = try write(0, 1, 60)
        #expect(throws: VhostFault.self, "the status is not to be written") {
            _ = try write(6, 0, 2)
        }
    }

    @Test("an MTU up to the network's is accepted, an address of a card is announced")
    func mtuAndAnnouncement() throws {
        let test = VhostTestSession(mtu: 1500)
        #expect(try Test.number(test.say(.setMTU, Test.long(1500), needReply: true)) == 0)
        #expect(try Test.number(test.say(.setMTU, Test.long(9000), needReply: true)) == 1)
        #expect(test.session.problem?.contains("host_mtu=1500") == true)
        #expect(throws: VhostFault.self) { try test.say(.setMTU, Test.long(67)) }
        try test.say(.sendRARP, [0x02, 0, 0, 0, 0, 0x2A, 0, 0])
        #expect(test.device.events == ["announce 02:00:00:00:00:2a"])
        #expect(throws: VhostFault.self) { try test.say(.sendRARP, [1, 0, 0, 0, 0, 1, 0, 0]) }
        #expect(throws: VhostFault.self) { try test.say(.sendRARP, Test.long(0)) }
    }

    @Test("what is not served is refused: with an answer if one was asked for")
    func unknown() throws {
        let test = VhostTestSession()
        for request: UInt32 in [22, 23, 26, 28, 29, 30, 33, 35, 41, 4711] {
            let bytes = VhostTestMessage.bytes(request, flags: 9)
            let header = try VhostHeader(Array(bytes.prefix(12)))
            let reply = try test.session.receive(
                VhostMessageAssembler.Complete(
                    header: header, message: .unknown(request),
                    descriptors: [test.system.descriptor()]))
            #expect(reply?.bytes == VhostReply.number(1, to: request).bytes)
            #expect(throws: VhostFault.self) {
                _ = try test.session.receive(
                    VhostMessageAssembler.Complete(
                        header: VhostHeader(Array(VhostTestMessage.bytes(request).prefix(12))),
                        message: .unknown(request), descriptors: []))
            }
        }
        #expect(test.system.open.isEmpty)
    }

    @Test("everything is acknowledged that asks for it, and nothing twice")
    func acknowledgements() throws {
        let test = VhostTestSession()
        #expect(try Test.number(test.say(.setOwner, needReply: true)) == 0)
        #expect(
            try Test.number(
                test.say(
                    .setProtocolFeatures, Test.long(VhostProtocolFeatures.offered.rawValue),
                    needReply: true)) == 0)
        #expect(try Test.number(test.say(.getFeatures, needReply: true)) > 1)
        #expect(try test.say(.setOwner) == nil)
    }
}
