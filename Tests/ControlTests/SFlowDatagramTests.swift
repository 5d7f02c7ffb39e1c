import Foundation
import TestSupport
import Testing
import Wire

@testable import Control

@Suite("sFlow datagrams")
struct SFlowDatagramTests {
    private static let header: [UInt8] = Hex.bytes(
        "020000000002 020000000001 0800 45000054 0001")

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func sample(_ header: [UInt8] = header) -> SFlowDatagram.FlowSample {
        SFlowDatagram.FlowSample(
            sequence: 9, port: 3, rate: 1000, pool: 123_456, drops: 2, output: .port(4),
            originalByteCount: 98, header: header)
    }

    private let counters = SFlowDatagram.CounterSample(
        sequence: 5, port: 3, name: "web-1", isEnabled: true, isUp: true,
        receivedBytes: 0x1_0000_0002, receivedFrames: 0x1_0000_0003, receivedDrops: 4,
        transmittedBytes: 5, transmittedFrames: 6, transmittedDrops: 7)

    @Test("are these bytes")
    func golden() throws {
        var datagram = SFlowDatagram(
            agent: try address("192.0.2.1"), sequence: 7, uptimeMilliseconds: 1000)
        #expect(datagram.isEmpty)
        datagram.append(sample())
        datagram.append(counters)
        #expect(
            datagram.bytes
                == Hex.bytes(
                    """
                    00000005 00000001 c0000201 00000000   # version, IPv4, agent, sub-agent
                    00000007 000003e8 00000002            # sequence, uptime, samples
                    00000001 0000004c                     # flow sample, 76 bytes
                    00000009 00000003                     # sequence, source: ifIndex 3
                    000003e8 0001e240 00000002            # rate, pool, drops
                    00000003 00000004 00000001            # input, output, records
                    00000001 00000024                     # raw packet header, 36 bytes
                    00000001 00000066 00000004 00000014   # Ethernet, 98 + 4, FCS stripped, 20 bytes
                    020000000002 020000000001 0800 45000054 0001
                    00000002 00000080                     # counter sample, 128 bytes
                    00000005 00000003 00000002            # sequence, source, records
                    00000001 00000058                     # generic counters, 88 bytes
                    00000003 00000006 0000000000000000    # ifIndex, Ethernet, no speed
                    00000001 00000003                     # full duplex, enabled and up
                    0000000100000002 00000003             # octets in, packets (32 bits of them)
                    ffffffff ffffffff 00000004 ffffffff ffffffff
                    0000000000000005 00000006             # out
                    ffffffff ffffffff 00000007 ffffffff
                    00000001                              # promiscuous
                    000003ed 0000000c 00000005 7765622d 31000000  # name: web-1
                    """))
    }

    @Test("say how long a sample is, whatever the length of what is in it", arguments: 14...18)
    func lengths(_ byteCount: Int) throws {
        var datagram = SFlowDatagram(
            agent: try address("fd00::1"), sequence: 1, uptimeMilliseconds: 0)
        let before = datagram.bytes.count
        #expect(before == 40)
        let flow = sample([UInt8](repeating: 1, count: byteCount))
        datagram.append(flow)
        #expect(datagram.bytes.count - before == flow.byteCount)
        var named = counters
        named.name = String(repeating: "p", count: byteCount)
        let middle = datagram.bytes.count
        datagram.append(named)
        #expect(datagram.bytes.count - middle == named.byteCount)
        #expect(datagram.bytes.count.isMultiple(of: 4) && datagram.count == 2)
    }

    @Test("tell where a frame went as the specification has it")
    func outputs() {
        #expect(SFlowDatagram.Output.unknown.word == 0)
        #expect(SFlowDatagram.Output.port(7).word == 7)
        #expect(SFlowDatagram.Output.several(3).word == 0x8000_0003)
        #expect(SFlowDatagram.Output.dropped(256).word == 0x4000_0100)
    }

    @Test(
        "are what Wireshark makes of them too",
        .enabled(
            if: ExternalTool.isAvailable("tshark")
                && ExternalTool.isAvailable("text2pcap", package: "wireshark-common")),
        arguments: ["192.0.2.1", "fd00::1"])
    func tshark(_ agent: String) throws {
        var datagram = SFlowDatagram(
            agent: try address(agent), sequence: 7, uptimeMilliseconds: 1000)
        let frame = FrameBuilder().ipv4().udp(payload: [UInt8](repeating: 7, count: 32))
        datagram.append(sample(Array(frame.prefix(60))))
        datagram.append(sample(Self.header))
        datagram.append(counters)
        try TemporaryDirectory.with { directory in
            let file = directory.path("sflow.pcap")
            let text = "0000 " + Hex.text(datagram.bytes).replacing("\n", with: " ") + "\n"
            let made = try ExternalTool("text2pcap").run(
                ["-u", "6343,6343", "-", file], standardInput: Array(text.utf8))
            #expect(made.status == 0, "\(made.standardError)")
            let fields = [
                "sflow_245.version", "sflow_245.numsamples", "sflow.flow_sample.sampling_rate",
                "sflow.flow_sample.sample_pool", "sflow.flow_sample.dropped_packets",
                "sflow_245.header.frame_length", "sflow_245.ifindex", "sflow_245.ifinoct",
                "sflow_245.ifoutpkt", "eth.type",
            ]
            let run = try ExternalTool("tshark").run(
                ["-n", "-r", file, "-d", "udp.port==6343,sflow", "-T", "fields"]
                    + fields.flatMap { ["-e", $0] } + ["-e", "_ws.malformed"])
            #expect(run.status == 0, "\(run.standardError)")
            #expect(
                run.text.split(separator: "\n")[0]
                    .split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
                    == [
                        "5", "3", "1000,1000", "123456,123456", "2,2", "102,102", "3",
                        "4294967298", "6", "0x0800,0x0800,0x0800", "",
                    ])
        }
    }
}
