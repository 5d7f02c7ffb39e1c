import Glibc

/// The gate on the forwarding path: no allocation, no exclusivity check, no page fault, ever; no
/// retain or release per frame.
///
///     heddle-gate memory [FRAMES] [--plant FAULT]     ports in memory; 10,000,000 frames if not given
///     heddle-gate tap [FRAMES] [--plant FAULT]        real TAPs in a namespace of its own; 1,000,000
///
/// `--plant` puts a fault into the measured path, so that the gate can be seen to fail: one
/// `allocation`, a `retain` per frame, an `access` (exclusivity check) or a `page`.
/// Prints what it found as one line of JSON. Exit code 0: passed; 1: failed; 2: wrong usage; 77:
/// skipped, since this machine cannot do it.
@main
enum Gate {
    static func main() {
        var arguments = CommandLine.arguments.dropFirst()
        var plant: PlantingPort.Plant?
        if let option = arguments.firstIndex(of: "--plant") {
            guard option + 1 < arguments.endIndex,
                let named = PlantingPort.Plant(rawValue: arguments[option + 1])
            else { usage() }
            plant = named
            arguments.removeSubrange(option...option + 1)
        }
        guard let mode = arguments.popFirst(), arguments.count <= 1 else { usage() }
        var frames: UInt64?
        if let text = arguments.first {
            guard let number = UInt64(text), number > 0 else { usage() }
            frames = number
        }
        let finding: Finding
        switch mode {
        case "memory": finding = MemoryRun.measure(frames: frames ?? 10_000_000, plant: plant)
        case "tap": finding = TAPRun.measure(frames: frames ?? 1_000_000, plant: plant)
        default: usage()
        }
        print(finding.json)
        for fault in finding.faults { complain("heddle-gate: \(fault)") }
        for excess in finding.excesses { complain("heddle-gate: \(excess)") }
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
        complain("usage: heddle-gate memory|tap [FRAMES] [--plant allocation|retain|access|page]")
        exit(2)
    }
}
