import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// DPDK's own driver and front-end, which has every kind of ring and fills it as fast as it can.
    @Suite(
        "DPDK's virtio-user",
        .enabled(if: ExternalTool.isAvailable("dpdk-testpmd", package: "dpdk-dev")))
    struct VirtioUser {
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}}
            ports:
              one: {network: blue, vhost-user: {socket: /run/heddle/one, mode: server}}
              two: {network: blue, vhost-user: {socket: /run/heddle/two, mode: server}}
            """

        @Test("DPDK's virtio-user exchanges frames over every kind of ring")
        func rings() throws {
            try withTopology(Self.topology) { lab in
                var before: [String: TrafficCounters] = [:]
                for kind in [
                    "packed_vq=0,mrg_rxbuf=1,in_order=1", "packed_vq=0,mrg_rxbuf=0,in_order=1",
                    "packed_vq=0,mrg_rxbuf=0,in_order=0", "packed_vq=1,mrg_rxbuf=1,in_order=1",
                    "packed_vq=1,mrg_rxbuf=0,in_order=0", "packed_vq=1,mrg_rxbuf=1,in_order=0",
                ] {
                    let driver = try lab.start(
                        [
                            "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "-l", "0,1",
                            "--file-prefix=heddle",
                            "--vdev=net_virtio_user0,path=/run/heddle/one,queue_size=512,\(kind)",
                            "--vdev=net_virtio_user1,path=/run/heddle/two,queue_size=512,\(kind)",
                            "--", "--forward-mode=flowgen", "--auto-start", "--nb-cores=1",
                            "--total-num-mbufs=8192", "--stats-period=1",
                        ])
                    for port in ["one", "two"] {
                        #expect(
                            try lab.port(port, becomes: .up), "\(kind): \(driver.standardError)")
                    }
                    for port in ["one", "two"] {
                        var counters = before[port] ?? TrafficCounters()
                        let (received, transmitted) = (
                            counters.receivedFrames, counters.transmittedFrames
                        )
                        for _ in 0..<100 {
                            counters = try lab.port(port).counters
                            if counters.receivedFrames > received + 10_000,
                                counters.transmittedFrames > transmitted + 10_000
                            {
                                break
                            }
                            usleep(100_000)
                        }
                        #expect(counters.receivedFrames > received + 10_000, "\(kind) \(port)")
                        #expect(
                            counters.transmittedFrames > transmitted + 10_000, "\(kind) \(port)")
                        // Before the other port is up there is nobody to flood to.
                        let bad = try lab.json("drops", as: DropList.self).drops.filter {
                            $0.port == port && $0.reason != "flood-nowhere"
                                && !$0.reason.hasPrefix("egress-")
                        }
                        #expect(bad.isEmpty, "\(kind): each was a frame")
                        #expect(try lab.port(port).state == .up)
                    }
                    try driver.finish(SIGINT)
                    for port in ["one", "two"] {
                        #expect(try lab.port(port, becomes: .down))
                        before[port] = try lab.port(port).counters
                    }
                }
            }
        }
    }
}
