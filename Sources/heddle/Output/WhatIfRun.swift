import ArgumentParser
import Capture
import ControlAPI
import Trace

/// Replays a capture file through a candidate topology and prints what would change.
struct WhatIfRun {
    let file: String
    let candidate: OfflineSwitch
    let baseline: OfflineSwitch?
    let port: String?

    /// Frames between two looks at how far the file is read.
    private static let progressInterval: UInt64 = 1 << 17

    func run(_ output: OutputOptions) throws {
        let result = try replay()
        let info = WhatIfInfo(result, file: file)
        try output.show(info) { whatIfText($0) }
        if !result.changes.isEmpty { throw ExitCode(2) }
    }

    private func replay() throws -> WhatIfResult {
        let reader = try open(file)
        let total = reader.fileByteCount ?? 0
        let showsProgress = Terminal.isErrorTerminal && total > 0
        do {
            var whatIf = try WhatIf(candidate: candidate, baseline: baseline, port: port)
            try reader.forEachFrame { frame, interfaces in
                whatIf.replay(frame, interfaces)
                if showsProgress, frame.number % WhatIfRun.progressInterval == 0 {
                    Terminal.writeError("\r\(frame.offset * 100 / total) % of \(file)")
                }
                return true
            }
            // The line of progress is wiped.
            if showsProgress { Terminal.writeError("\r\u{1B}[K") }
            return whatIf.finish(cutOff: reader.cutOff.map { "\($0)" })
        } catch {
            if showsProgress { Terminal.writeError("\r\u{1B}[K") }
            throw CommandFailure("\(error)")
        }
    }
}

extension WhatIfInfo {
    init(_ result: WhatIfResult, file: String) {
        func skipped(_ list: [WhatIfResult.Skipped]) -> [SkippedInterface] {
            list.map { SkippedInterface(interface: $0.interface, frames: $0.frames) }
        }
        self.init(
            file: file, baseline: result.baseline.rawValue, frames: result.frames,
            replayed: result.replayed, compared: result.compared, outbound: result.outbound,
            repeated: result.repeated, tooShort: result.tooShort,
            superFrames: result.superFrames, unlocated: result.unlocated,
            unknownInterfaces: skipped(result.unknownInterfaces),
            ambiguousInterfaces: skipped(result.ambiguousInterfaces),
            fates: result.fates.map {
                FateCount(port: $0.port, fate: "\($0.fate)", frames: $0.frames)
            },
            changes: result.changes.map {
                FateChange(
                    port: $0.port, was: "\($0.was)", wouldBe: "\($0.wouldBe)", frames: $0.frames,
                    firstFrame: $0.firstFrame, reason: $0.wouldBe.reasonName,
                    sentence: $0.wouldBe.sentence, remedy: $0.wouldBe.remedy)
            }, cutOff: result.cutOff)
    }
}

/// What would change, or where nothing tells what was, what would become of the frames; then what
/// was not replayed, and why.
func whatIfText(_ info: WhatIfInfo, colour: Bool = Terminal.hasColour) -> String {
    var text = ""
    if info.baseline == "none" {
        var table = Table(.number("FRAMES"), .text("FROM"), .text("UNDER THE CANDIDATE"))
        for fate in info.fates {
            table.append(
                .init(fate.frames), .init(fate.port), .init(fate.fate, style(of: fate.fate)))
        }
        text += table.rendered(colour: colour)
        text += "the capture does not say what became of its frames: --topology FILE compares\n"
    } else if !info.changes.isEmpty {
        var table = Table(
            .number("FRAMES"), .number("FIRST"), .text("FROM"), .text("WAS"), .text("WOULD BE"))
        for change in info.changes {
            table.append(
                .init(change.frames), .init(change.firstFrame), .init(change.port),
                .init(change.was), .init(change.wouldBe, style(of: change.wouldBe)))
        }
        text += table.rendered(colour: colour) + "\n" + remedies(info)
    }
    return text + summary(info) + notes(info).map { "note: \(printable($0))\n" }.joined()
}

private func style(of fate: String) -> Terminal.Style {
    fate.hasPrefix("dropped") || fate == "no such port" ? .bad : .plain
}

/// One line for each reason, and one with its remedy.
private func remedies(_ info: WhatIfInfo) -> String {
    var seen: Set<String> = []
    var text = ""
    for change in info.changes {
        guard let sentence = change.sentence, seen.insert(sentence).inserted else { continue }
        text += "\(change.reason ?? change.wouldBe): \(sentence)\n"
        if let remedy = change.remedy { text += "  remedy: \(remedy)\n" }
    }
    return text
}

private func summary(_ info: WhatIfInfo) -> String {
    let changed = info.changes.reduce(0) { $0 + $1.frames }
    var text = "\(printable(info.file)): \(counted(info.frames, "frame")), "
    text += "\(info.replayed) replayed"
    switch info.baseline {
    case "none": break
    case "topology": text += ", \(changed) would end otherwise"
    default: text += ", \(info.compared) compared with the capture, \(changed) would end otherwise"
    }
    return text + "\n"
}

private func notes(_ info: WhatIfInfo) -> [String] {
    var notes: [String] = []
    func note(_ count: UInt64, _ text: String) {
        if count > 0 { notes.append("\(counted(count, "frame")) \(text)") }
    }
    note(info.outbound, "left a port and did not come in: not replayed")
    note(info.repeated, "more than once in the file: replayed once")
    note(info.tooShort, "cut inside their headers: not replayed")
    for skipped in info.unknownInterfaces {
        note(
            skipped.frames,
            "of '\(skipped.interface)', which is no port of the candidate: not replayed; "
                + "--port PORT says where all frames come from")
    }
    for skipped in info.ambiguousInterfaces {
        note(
            skipped.frames,
            "of tunnel '\(skipped.interface)', which carries several networks: not replayed, "
                + "since the inner frame does not say its network")
    }
    note(
        info.unlocated,
        "to addresses that the capture does not locate: not counted as changed; "
            + "--topology FILE compares exactly")
    note(
        info.superFrames,
        "taken for super-frames whose segments fit every MTU")
    if let cutOff = info.cutOff { notes.append(cutOff) }
    return notes
}
