import ControlAPI
import Trace

extension TraceInfo {
    /// A report as the control socket sends it and `--output json` prints it.
    package init(_ report: TraceReport) {
        self.init(
            port: report.port, action: report.fate.action, verdict: report.verdict,
            reason: report.reason?.name, sentence: report.reason?.sentence,
            remedy: report.fate.remedy, network: report.network, egress: report.egress,
            steps: report.steps.map { TraceStepInfo(step: $0.kind.rawValue, text: $0.text) })
    }
}
