import ControlAPI
import Ports
import SystemPackage
import Testing

@testable import Control

@Suite("The doctor")
struct APIDoctorTests {
    @Test(
        "judges kernels by their version",
        arguments: [
            ("6.18.44-fc", CheckStatus.ok),
            ("6.2", .ok),  // the first with UDP offload
            ("6.1.0-13-amd64", .warning),
            ("5.5.0", .warning),  // the first with alternative names
            ("5.4.0-150-generic", .missing),
            ("10.0", .ok),  // not less than 6.2 as text would be
            ("", .missing),
        ])
    func kernels(_ release: String, _ status: CheckStatus) {
        let check = Doctor.kernel(release: release)
        #expect(check.status == status)
        #expect((check.remedy == nil) == (status == .ok))
    }

    @Test("says for how many ports the limit of open files is enough")
    func limits() {
        #expect(Doctor.descriptorLimit(1024, hard: 1_048_576).status == .ok)
        let low = Doctor.descriptorLimit(256, hard: 256)
        #expect(low.status == .warning)
        #expect(low.finding.contains("about 96 ports"))
        #expect(Doctor.descriptorLimit(8, hard: 8).finding.contains("about 0 ports"))
        #expect(Doctor.descriptorLimit(Int.max, hard: Int.max).status == .ok)
    }

    @Test("says what the kernel lacks for tunnels, and that they work without")
    func offloads() {
        for (offloads, sends, receives) in [
            (UDPOffloads([.segmentation, .coalescing]), CheckStatus.ok, CheckStatus.ok),
            (.segmentation, .ok, .warning),  // Linux 4.18 and 4.19
            ([], .warning, .warning),
        ] {
            let checks = [
                DoctorUnderlay.segmentation(offloads), DoctorUnderlay.coalescing(offloads),
            ]
            #expect(checks.map(\.status) == [sends, receives])
            for check in checks { #expect((check.remedy == nil) == (check.status == .ok)) }
        }
    }

    @Test("says what GRE needs")
    func rawSocket() {
        #expect(DoctorUnderlay.rawSocket(failure: nil).status == .ok)
        let check = DoctorUnderlay.rawSocket(failure: .notPermitted)
        #expect(check.status == .warning)
        #expect(check.remedy?.contains("CAP_NET_RAW") == true)
        #expect(
            DoctorUnderlay.rawSocket(failure: .protocolNotSupported).remedy
                == "use VXLAN or Geneve")
    }

    @Test("says how to give tunnels room, where they have none by privilege")
    func receiveBuffer() {
        let limit = 8 << 20
        for (canForce, found, status) in [
            (true, 212_992, CheckStatus.ok), (false, limit, .ok), (false, limit - 1, .warning),
            (false, nil, .warning),
        ] {
            let check = DoctorUnderlay.receiveBuffer(canForce: canForce, limit: found)
            #expect(check.status == status)
            #expect((check.remedy == nil) == (status == .ok))
        }
        #expect(
            DoctorUnderlay.receiveBuffer(canForce: false, limit: 212_992).remedy
                == "'sysctl net.core.rmem_max=8388608', or run as root")
    }

    @Test("judges the underlay by its smallest MTU")
    func underlayMTU() {
        let usual = DoctorUnderlay.mtu(of: [("eth1", 9000), ("eth0", 1500)])
        #expect(usual.status == .ok)
        #expect(usual.finding == "eth0 has 1500: networks of up to 1430 fit any tunnel")
        #expect(DoctorUnderlay.mtu(of: [("eth0", 1350)]).status == .ok)
        let small = DoctorUnderlay.mtu(of: [("ppp0", 1349)])
        #expect(small.status == .warning)
        #expect(small.remedy?.contains("'ip link set ppp0 mtu 1350'") == true)
        #expect(DoctorUnderlay.mtu(of: []).status == .warning)
    }

    @Test("looks at this machine's underlay")
    func underlay() {
        let checks = DoctorUnderlay.checks()
        #expect(
            checks.map(\.name) == [
                "UDP segmentation", "UDP coalescing", "GRE socket", "receive buffer",
                "underlay MTU",
            ])
        #expect(checks.allSatisfy { ($0.remedy == nil) == ($0.status == .ok) })
    }
}
