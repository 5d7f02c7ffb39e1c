import Foundation
import TestSupport
import Testing

/// The outermost ring: the built `heddle` as a process in namespaces of its own, with real devices and
/// real traffic. One lab after the other, because numbered streams must not fight for the processor.
@Suite(
    "The switch in fresh namespaces", .serialized,
    .enabled(if: Lab.isAvailable, "\(Lab.needed)"), .timeLimit(.minutes(2)))
enum SystemTests {
    /// A file of topologies/.
    static func example(_ name: String) -> String {
        var path = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { path.deleteLastPathComponent() }
        return path.appendingPathComponent("topologies/\(name).yaml").path
    }

    /// Runs an example in a lab, then ends the switch by SIGTERM: it must end with 0 and leave the
    /// lab as it was made.
    static func withExample(_ name: String, _ body: (Lab) throws -> Void) throws {
        try withSwitch({ _ in example(name) }, body)
    }

    /// The same with a topology of the test's own.
    static func withTopology(_ text: String, _ body: (Lab) throws -> Void) throws {
        try withSwitch({ try $0.file("topology.yaml", text) }, body)
    }

    private static func withSwitch(
        _ file: (Lab) throws -> String, _ body: (Lab) throws -> Void
    ) throws {
        try Lab.with { lab in
            let process = try lab.startSwitch(try file(lab))
            try body(lab)
            try process.finish()
            #expect(try lab.leftovers() == [], "\(process.standardError)")
        }
    }
}
