import Glibc

/// The switching core alone: no device, no system call, only what the worker does with a frame.
///
///     heddle-core --macs N --seconds S [--digest-frames N] [--recorder 1]
///
/// Prints one line of JSON; the digest is that of Tests/Bench/C/core.c with the same arguments.
/// `--seconds 0` gives the digest only.
@main
enum CoreBench {
    static func main() {
        var macs: Int?
        var seconds: Double?
        var digestFrames = 1 << 20
        var records = false
        var arguments = CommandLine.arguments.dropFirst()
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { usage() }
            switch option {
            case "--macs": macs = Int(value)
            case "--seconds": seconds = Double(value)
            case "--recorder": records = value == "1"
            case "--digest-frames":
                guard let count = Int(value), count >= 0 else { usage() }
                digestFrames = count
            default: usage()
            }
        }
        guard let macs, let seconds, macs >= 16, macs % 16 == 0, macs <= 1_048_576, seconds >= 0
        else { usage() }
        var run = CoreRun(macs: macs, records: records)
        let digest = run.digest(frames: digestFrames)
        let result = run.measure(seconds: seconds)
        let hundredths = Int((result.nanosecondsPerFrame * 100).rounded())
        print(
            "{\"nanosecondsPerFrame\":\(Double(hundredths) / 100),\"frames\":\(result.frames),"
                + "\"digest\":\"\(digest)\"}")
    }

    private static func usage() -> Never {
        let text = """
            usage: heddle-core --macs N --seconds S [--digest-frames N] [--recorder 1]
            N addresses are a multiple of 16, 1048576 at most.

            """
        _ = text.withCString { write(2, $0, text.utf8.count) }
        exit(2)
    }
}
