/// DPDK's testpmd, which moves frames between two vhost-user ports (`io` forwarding): no look-up, no
/// learning, and two copies, into a buffer of its own and out of it.
struct TestpmdSystem: VhostSystem {
    let name = "testpmd io"

    var programs: [String] { ["dpdk-testpmd"] }
    var isPolling: Bool { true }

    func start(at site: Site, sockets: [String]) throws {
        guard sockets.count == 2 else { throw NotMeasured("testpmd is to have two ports") }
        let core = site.core
        let process = try site.start(
            [
                "dpdk-testpmd", "--lcores", "0@\(core),1@\(core)", "--no-huge", "-m", "512",
                "--no-pci", "--no-telemetry", "--file-prefix", "\(site.namespace.name)",
            ] + sockets.enumerated().map { "--vdev=net_vhost\($0),iface=\($1)" } + [
                "--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=8192",
                "--nb-cores=1",
            ])
        // It then waits for the end of its input.
        try process.wait("its sockets") { sockets.allSatisfy(Program.exists) }
    }
}
