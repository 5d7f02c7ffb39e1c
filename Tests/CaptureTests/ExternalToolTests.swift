import Glibc
import TestSupport
import Testing

@Suite("An external tool")
struct ExternalToolTests {
    @Test("gets arguments and input, and gives output, errors and status")
    func run() throws {
        let output = try ExternalTool("sh").run(
            ["-c", "cat; echo \"$1\" >&2; exit 3", "sh", "an argument"],
            standardInput: [1, 2, 0, 255])
        #expect(output.standardOutput == [1, 2, 0, 255])
        #expect(output.standardError == "an argument\n")
        #expect(output.status == 3)
    }

    @Test("may write more than a pipe holds, on both streams")
    func large() throws {
        let output = try ExternalTool("sh").run(
            ["-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2"])
        #expect(output.standardOutput.count == 300_000)
        #expect(output.standardError.utf8.count == 300_000)
    }

    @Test("is killed when it takes too long")
    func timeout() throws {
        #expect(throws: ExternalTool.Failure.self) {
            try ExternalTool("sleep").run(["60"], timeoutSeconds: 0.2)
        }
    }

    @Test("can be ended by a signal, whatever the test's own thread blocks")
    func signals() throws {
        let output = try ExternalTool("sh").run(["-c", "kill -TERM $$; echo survived"])
        #expect(output.text.isEmpty)
        #expect(output.status == SIGTERM)
    }

    @Test("that is not there is known to be missing")
    func missing() {
        #expect(throws: ExternalTool.Failure.self) { try ExternalTool("no-such-tool-here") }
        #expect(ExternalTool.isAvailable("sh"))
    }
}
