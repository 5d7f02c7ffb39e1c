import Glibc

/// The gate on the forwarding path: no allocation per frame, ever.
///
///     heddle-gate memory [FRAMES] [--plant]     ports in memory; 10,000,000 frames if not given
///     heddle-gate tap [FRAMES] [--plant]        real TAPs in a namespace of its own; 1,000,000
///
/// `--plant` puts one allocation into the measured path, so that the gate can be seen to fail.
/// Prints what it found as one line of JSON. Exit code 0: passed; 1: failed; 2: wrong usage; 77:
/// skipped, since this machine cannot do it.
@main
enum Gate {
    static func main() {
        var arguments = CommandLine.arguments.dropFirst()
        let plants = arguments.contains("--plant")
        arguments.removeAll { $0 == "--plant" }
        guard let mode = arguments.popFirst(), arguments.count <= 1 else { usage() }
        var frames: UInt64?
        if let text = arguments.first {
            guard let number = UInt64(text), number > 0 else { usage() }
            frames = number
        }
        let finding: Finding
        switch mode {
        case "memory": finding = MemoryRun.measure(frames: frames ?? 10_000_000, plants: plants)
        case "tap": finding = TAPRun.measure(frames: frames ?? 1_000_000, plants: plants)
        default: usage()
        }
        print(finding.json)
        for fault in finding.faults { complain("heddle-gate: \(fault)") }
        if finding.window.allocations > 0 {
            complain(
                "heddle-gate: \(finding.window.allocations) allocations in \(finding.frames) "
                    + "frames; there must be none")
        }
        exit(finding.passes ? 0 : 1)
    }

    static func complain(_ line: String) {
        let text = line + "\n"
        _ = text.withCString { write(2, $0, text.utf8.count) }
    }

    static func skip(_ reason: String) -> Never {
        complain("heddle-gate: SKIPPED: \(reason)")
        exit(77)
    }

    private static func usage() -> Never {
        complain("usage: heddle-gate memory|tap [FRAMES] [--plant]")
        exit(2)
    }
}
