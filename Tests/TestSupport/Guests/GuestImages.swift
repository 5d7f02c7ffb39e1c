import Foundation

/// The kernels and initial file systems of the guests, which Tests/Guests/build.sh makes when a test first
/// asks, and keeps in .build/guests.
package enum GuestImages {
    enum State {
        case ready(folder: String)
        /// What the machine lacks, or the network.
        case unavailable(String)
        /// The script itself failed: the tests run, and fail with this.
        case broken(String)
    }

    /// Why tests with guests are skipped.
    package static let needed =
        "it needs QEMU (qemu-system-x86, qemu-system-arm) and what Tests/Guests/build.sh asks for"

    /// Whether guests can be started here; if not, says so loudly, once.
    package static let areAvailable: Bool = {
        let emulators = [
            ("qemu-system-x86_64", "qemu-system-x86"), ("qemu-system-aarch64", "qemu-system-arm"),
        ]
        // Each is asked for, so that all that are missing are named.
        let missing = emulators.filter { !ExternalTool.isAvailable($0.0, package: $0.1) }
        guard missing.isEmpty else { return false }
        guard case .unavailable(let reason) = state else { return true }
        let notice =
            "\n*** SKIPPED: tests with virtual machines: their images cannot be built: \(reason) ***\n\n"
        FileHandle.standardError.write(Data(notice.utf8))
        return false
    }()

    /// The folder of a kind of guest.
    static func folder(_ kind: String) throws -> String {
        switch state {
        case .ready(let folder): return "\(folder)/\(kind)"
        case .unavailable(let reason), .broken(let reason):
            throw Lab.Failure("no images of guests: \(reason)")
        }
    }

    private static let state: State = {
        var path = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { path.deleteLastPathComponent() }
        let script = path.appendingPathComponent("Guests/build.sh").path
        do {
            // A download of 130 MB the first time.
            let output = try ExternalTool("bash").run([script], timeoutSeconds: 600)
            let said = output.standardError.trimmingCharacters(in: .whitespacesAndNewlines)
            return switch output.status {
            case 0: .ready(folder: output.text.trimmingCharacters(in: .whitespacesAndNewlines))
            case 77: .unavailable(said)
            default: .broken("Tests/Guests/build.sh ended with \(output.status): \(said)")
            }
        } catch {
            return .broken("\(error)")
        }
    }()
}
