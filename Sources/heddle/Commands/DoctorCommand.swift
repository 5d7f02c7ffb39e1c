import ArgumentParser
import Control
import ControlAPI

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what this machine offers to Heddle and what it lacks.",
        discussion: """
            Needs no running switch and changes nothing. Exits 1 if something is missing.

              heddle doctor
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let report = Doctor.examine(socket: SocketPath(option: client.socket))
        try output.show(report) { doctorText($0) }
        if report.checks.contains(where: { $0.status == .missing }) { throw ExitCode.failure }
    }
}

func doctorText(_ report: DoctorReport, colour: Bool = Terminal.hasColour) -> String {
    var table = Table(.text("STATUS"), .text("CHECK"), .text("FINDING"))
    for check in report.checks {
        let style: Terminal.Style =
            switch check.status {
            case .ok: .good
            case .warning: .warning
            case .missing: .bad
            }
        table.append(
            Table.Cell(check.status.rawValue, style), Table.Cell(check.name),
            Table.Cell(check.finding))
    }
    let remedies = report.checks.compactMap { check in
        check.remedy.map { "\(check.name): \(printable($0))\n" }
    }
    return table.rendered(colour: colour)
        + (remedies.isEmpty ? "" : "\nWhat to do:\n" + remedies.joined())
}
