import ControlAPI
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
}
