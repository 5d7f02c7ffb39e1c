import ArgumentParser
import ControlAPI

struct TopologyPlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show what apply would do; changes nothing.",
        discussion: """
            Exits 0 if nothing would change, 2 if something would, and 1 on errors. Notes, such as
            an MTU that does not fit the underlay, change nothing of that.

              heddle topology plan lab.yaml
            """)

    @OptionGroup var file: TopologyFile
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let plan = try client.client.plan(try file.validated().0)
        try output.show(plan) { planText($0) }
        if !plan.isEmpty { throw ExitCode(2) }
    }
}

/// A plan as lines: what is created in green, removed in red, changed in yellow; notes after it.
func planText(_ plan: PlanResult, colour: Bool = Terminal.hasColour) -> String {
    let lines = plan.changes.map { change in
        let style: Terminal.Style =
            switch change.symbol {
            case "+": .good
            case "-": .bad
            default: .warning
            }
        let text = "\(change.symbol) \(printable(change.subject))"
        let detail = change.text.isEmpty ? "" : ": \(printable(change.text))"
        return Terminal.styled(text, style, colour: colour) + detail
    }
    let notes = (plan.notes ?? []).map {
        Terminal.styled("note", .warning, colour: colour) + ": \(printable($0))"
    }
    return (lines + notes + [plan.summary]).map { $0 + "\n" }.joined()
}
