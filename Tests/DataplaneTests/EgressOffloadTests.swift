import TestSupport
import Testing
import Wire

@testable import Dataplane

@Suite("Offloads at egress: whole where they are accepted, finished where they are not")
struct EgressOffloadTests {
    let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])

    /// A TCP super-frame of 10,000 bytes in segments of 1400.
    static func superFrame(tag: UInt16? = nil) -> (bytes: [UInt8], offload: Offload) {
        var builder = FrameBuilder(
            from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast))
        if let tag { builder = builder.tagged(tag) }
        let payload = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let bytes = builder.ipv4().tcp(payload: payload, isPartial: true)
        let offset = 14 + 20 + (tag == nil ? 0 : 4)
        return (
            bytes,
            Offload(
                flags: Offload.needsChecksum, gsoType: Offload.gsoTCPv4,
                headerByteCount: UInt16(offset + 20), gsoSize: 1400,
                checksumStart: UInt16(offset), checksumOffset: 16)
        )
    }

    /// Whether the TCP checksum of an untagged IPv4 frame is right.
    static func isTCPChecksumRight(_ frame: [UInt8]) -> Bool {
        let total = Int(frame[16]) << 8 | Int(frame[17])
        let segment = Array(frame[34..<(14 + total)])
        var sum: UInt32 = 6 + UInt32(segment.count)
        for index in stride(from: 26, to: 34, by: 2) {
            sum += UInt32(frame[index]) << 8 | UInt32(frame[index + 1])
        }
        for index in stride(from: 0, to: segment.count, by: 2) {
            sum += UInt32(segment[index]) << 8
            if index + 1 < segment.count { sum += UInt32(segment[index + 1]) }
        }
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) + sum >> 16 }
        return sum == 0xFFFF
    }

    @Test("a super-frame crosses whole to a port that accepts it, tagged or not")
    func passesWhole() {
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        lab.add(.trunk(domains: [1], native: nil), offloads: .all, slotByteCount: 16_384)
        let (bytes, offload) = Self.superFrame()
        let outputs = lab.outputs(bytes, into: 0, offload: offload)
        #expect(outputs.map(\.port) == [1, 2])
        #expect(outputs[0].frame == bytes && outputs[0].offload == offload)
        #expect(outputs[1].frame == Self.superFrame(tag: 10).bytes)
        #expect(outputs[1].offload == Self.superFrame(tag: 10).offload)
        #expect(lab.fabric.value(.receivedSegments, port: 0) == 8)
        #expect(lab.fabric.value(.transmittedSegments, port: 1) == 8)
        #expect(lab.fabric.value(.transmitted, port: 1) == 1)
    }

    @Test("a port that accepts nothing gets complete segments that add up to the payload")
    func segments() {
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        lab.add(.access(domain: 1))
        lab.add(.trunk(domains: [1], native: nil))
        let (bytes, offload) = Self.superFrame()
        let outputs = lab.outputs(bytes, into: 0, offload: offload)
        let plain = outputs.filter { $0.port == 1 }
        #expect(plain.count == 8)
        #expect(plain.allSatisfy { $0.frame.count <= 14 + 40 + 1400 && $0.offload == .none })
        #expect(plain.allSatisfy { Self.isTCPChecksumRight($0.frame) })
        #expect(plain.flatMap { $0.frame[54...] } == Array(bytes[54...]))
        let tagged = outputs.filter { $0.port == 2 }
        #expect(tagged.count == 8)
        #expect(tagged.allSatisfy { Array($0.frame[12..<16]) == [0x81, 0, 0, 10] })
        #expect(tagged.flatMap { $0.frame[58...] } == Array(bytes[54...]))
        #expect(lab.fabric.value(.segmentedInSoftware, port: 1) == 1)
        #expect(lab.fabric.value(.transmittedSegments, port: 1) == 8)
        ConservationTests.check(lab.fabric, ports: 3)
    }

    @Test("a partial checksum is completed once, and is right at every port")
    func checksum() {
        lab.add(.access(domain: 1), offloads: .all)
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1), offloads: [.checksum])
        lab.add(.access(domain: 1))
        let bytes = FrameBuilder(
            from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast)
        ).ipv4().tcp(payload: [1, 2, 3], isPartial: true)
        let offload = Offload(
            flags: Offload.needsChecksum, checksumStart: 34, checksumOffset: 16)
        #expect(!Self.isTCPChecksumRight(bytes))
        let outputs = lab.outputs(bytes, into: 0, offload: offload)
        #expect(outputs.map(\.port) == [1, 2, 3])
        #expect(outputs.allSatisfy { Self.isTCPChecksumRight($0.frame) && $0.offload == .none })
        #expect(lab.fabric.value(.checksummedInSoftware, port: 1) == 1)
    }

    @Test("a super-frame is judged by its segments against the MTU")
    func mtu() {
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        let (bytes, _) = Self.superFrame()
        var (_, offload) = Self.superFrame()
        offload.gsoSize = 1460
        #expect(lab.send(bytes, into: 0, offload: offload) == [1])
        offload.gsoSize = 1461
        #expect(lab.send(bytes, into: 0, offload: offload) == [])
        #expect(lab.drops(.oversize, port: 0) == 1)
    }

    @Test(
        "an offload request that contradicts the frame is dropped with its reason",
        arguments: [
            Offload(flags: 1, checksumStart: 34, checksumOffset: 9_999),  // beyond the frame
            Offload(flags: 1, checksumStart: 0, checksumOffset: 6),  // into the addresses
            Offload(flags: 0, gsoType: 1, gsoSize: 1400, checksumStart: 34, checksumOffset: 16),
            Offload(flags: 1, gsoType: 1, gsoSize: 0, checksumStart: 34, checksumOffset: 16),
            Offload(flags: 1, gsoType: 4, gsoSize: 1400, checksumStart: 34, checksumOffset: 16),
            Offload(flags: 1, gsoType: 3, gsoSize: 1400, checksumStart: 34, checksumOffset: 16),
            Offload(flags: 1, gsoType: 1, gsoSize: 1, checksumStart: 34, checksumOffset: 16),
        ])
    func contradiction(offload: Offload) {
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        lab.add(.access(domain: 1), offloads: .all, slotByteCount: 16_384)
        #expect(lab.send(Self.superFrame().bytes, into: 0, offload: offload) == [])
        #expect(lab.drops(.invalidOffload, port: 0) == 1)
    }
}
