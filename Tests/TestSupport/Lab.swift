import CLinux
import Foundation

/// A machine of its own for one test: new user, network, mount and process namespaces.
///
/// A holder process is process 1 inside; with it everything that runs in the lab ends, and with the
/// test that made the lab the holder ends (its standard input closes), so that nothing can stay behind
/// on the tester's machine, however a test fails. /run is a private tmpfs, /proc shows the lab's
/// processes only, there is one device, lo, and the rest of the file system is the tester's.
///
/// Commands enter by nsenter(1). A lab belongs to one thread.
package final class Lab {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(_ description: String) { self.description = description }
    }

    /// Executables that the package builds, beside the tests.
    package static let executables = URL(fileURLWithPath: CommandLine.arguments[0])
        .deletingLastPathComponent().path
    package static let heddlePath = executables + "/heddle"
    package static let peerPath = executables + "/TestPeer"

    /// Why tests in a lab are skipped.
    package static let needed =
        "it needs user namespaces or root, /dev/net/tun, and the programs unshare, nsenter and ip"

    /// Whether labs can be made here; if not, says so loudly, once.
    package static let isAvailable: Bool = {
        let tools = [
            ("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"),
            ("ping", "iputils-ping"),
        ]
        guard tools.allSatisfy({ ExternalTool.isAvailable($0.0, package: $0.1) }) else {
            return false
        }
        do {
            let lab = try Lab()
            defer { lab.close() }
            let tap = try lab.run(["ip", "tuntap", "add", "probe", "mode", "tap"])
            guard tap.status == 0 else { throw Failure(tap.standardError) }
            return true
        } catch {
            let notice =
                "\n*** SKIPPED: tests of the whole switch: \(needed).\n    \(error) ***\n\n"
            FileHandle.standardError.write(Data(notice.utf8))
            return false
        }
    }()

    /// Files of the lab that both sides see.
    package let directory: String
    private let holder: Process
    private let holderInput = Pipe()
    /// The holder as the tester's machine numbers it.
    private let holderID: Int32
    private let isUserNamespaceOurs: Bool
    private let nsenter: ExternalTool
    private var processes: [LabProcess] = []
    private var fileCount = 0

    package init() throws {
        nsenter = try ExternalTool("nsenter")
        let unshare = try ExternalTool("unshare")
        let directory = NSTemporaryDirectory() + "/heddle-lab-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let user = ["--user", "--map-root-user"]
        isUserNamespaceOurs = (try? unshare.run(user + ["true"]).status) == 0
        holder = Process()
        holder.executableURL = URL(fileURLWithPath: unshare.path)
        holder.arguments =
            (isUserNamespaceOurs ? user : [])
            + ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]
            + ["mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && read line"]
        let output = Pipe()
        let errors = Pipe()
        holder.standardInput = holderInput
        holder.standardOutput = output
        holder.standardError = errors
        let holder = holder
        try ExternalTool.withNoSignalBlocked { try holder.run() }
        let ready = output.fileHandleForReading.availableData
        guard ready == Data("ready\n".utf8), let child = child(of: holder.processIdentifier) else {
            holderInput.fileHandleForWriting.closeFile()
            let reason = errors.fileHandleForReading.readDataToEndOfFile()
            try? FileManager.default.removeItem(atPath: directory)
            throw Failure("cannot make a lab: \(String(decoding: reason, as: UTF8.self))")
        }
        self.directory = directory
        holderID = child
    }

    deinit { close() }

    /// Makes a lab, runs the body and ends the lab with all that runs in it.
    package static func with(_ body: (Lab) throws -> Void) throws {
        let lab = try Lab()
        defer { lab.close() }
        do {
            try body(lab)
        } catch {
            // What the switches said explains most failures.
            for process in lab.processes where process.isSwitch {
                print("--- standard error of heddle run:\n\(process.standardError)---")
            }
            throw error
        }
    }

    /// Ends every process of the lab; with them its devices and mounts go.
    package func close() {
        guard holder.isRunning else { return }
        kill(holderID, SIGKILL)
        // Before the holder: a process namespace ends when the parents outside have seen its dead.
        for process in processes { process.reap() }
        holder.waitUntilExit()
        try? FileManager.default.removeItem(atPath: directory)
    }

    // MARK: Programs

    /// nsenter's arguments for a command in the lab, or in a named network namespace of it.
    private func entering(_ command: [String], namespace: String?) -> [String] {
        var arguments = ["--target", "\(holderID)", "--net", "--mount", "--pid"]
        if isUserNamespaceOurs { arguments += ["--user", "--preserve-credentials"] }
        if let namespace { arguments += ["nsenter", "--net=/run/netns/\(namespace)"] }
        return arguments + command
    }

    /// Runs a program to its end.
    package func run(
        _ command: [String], in namespace: String? = nil, standardInput: [UInt8] = [],
        timeoutSeconds: Double = 30
    ) throws -> ExternalTool.Output {
        try nsenter.run(
            entering(command, namespace: namespace), standardInput: standardInput,
            timeoutSeconds: timeoutSeconds)
    }

    /// Runs a program that must succeed; what it printed.
    @discardableResult
    package func sh(_ script: String, in namespace: String? = nil) throws -> String {
        let output = try run(["sh", "-ec", script], in: namespace)
        guard output.status == 0 else {
            throw Failure("'\(script)' ended with \(output.status): \(output.standardError)")
        }
        return output.text
    }

    /// Starts a program that runs on.
    package func start(
        _ command: [String], in namespace: String? = nil, isSwitch: Bool = false
    ) throws -> LabProcess {
        fileCount += 1
        let process = try LabProcess(
            nsenter.path, entering(command, namespace: namespace),
            files: directory + "/process-\(fileCount)", isSwitch: isSwitch)
        processes.append(process)
        return process
    }

    /// Starts a test peer and waits until it is ready.
    package func peer(_ arguments: [String], in namespace: String? = nil) throws -> LabProcess {
        let process = try start([Lab.peerPath] + arguments, in: namespace)
        try process.wait("the peer is ready", seconds: 10) { $0.output.contains("\"ready\"") }
        return process
    }

    // MARK: The switch

    /// Runs a client command of heddle.
    package func heddle(_ arguments: String..., in namespace: String? = nil) throws
        -> ExternalTool.Output
    {
        try run([Lab.heddlePath] + arguments, in: namespace)
    }

    /// Writes a file that both sides see, and gives its path.
    package func file(_ name: String, _ content: String) throws -> String {
        let path = directory + "/" + name
        try content.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// Starts `heddle run` in the lab and waits until it says that it is ready.
    package func startSwitch(
        _ file: String?, _ arguments: [String] = [], in namespace: String? = nil,
        state: String = "/run/heddle-state", seconds: Double = 20
    ) throws -> LabProcess {
        let process = try launchSwitch(file, arguments, in: namespace, state: state)
        try process.wait("the switch is ready", seconds: seconds) {
            $0.output.contains(" is ready: ")
        }
        return process
    }

    /// Starts `heddle run` without waiting for it.
    package func launchSwitch(
        _ file: String?, _ arguments: [String] = [], in namespace: String? = nil,
        state: String = "/run/heddle-state"
    ) throws -> LabProcess {
        try start(
            [Lab.heddlePath, "run"] + (file.map { [$0] } ?? []) + ["--state", state] + arguments,
            in: namespace, isSwitch: true)
    }

    // MARK: What is there

    /// Names of the devices of a namespace, without lo.
    package func devices(in namespace: String? = nil) throws -> [String] {
        let lines = try sh("ip -o link show", in: namespace).split(separator: "\n")
        return lines.compactMap { line in
            let name = line.split(separator: " ")[1].prefix { $0 != ":" && $0 != "@" }
            return name == "lo" ? nil : String(name)
        }
    }

    /// A device's kernel index, which changes when somebody deletes it and makes it anew.
    package func index(of device: String, in namespace: String? = nil) throws -> Int {
        let line = try sh("ip -o link show \(device)", in: namespace)
        guard let index = Int(line.prefix { $0 != ":" }) else {
            throw Failure("no index in '\(line)'")
        }
        return index
    }

    /// Names in /run/netns.
    package func namespaces() throws -> [String] {
        try sh("ls /run/netns 2>/dev/null || true").split(separator: "\n").map(String.init)
    }

    /// What a switch that ended should not have left: devices, namespaces, processes, sockets,
    /// mounts. Empty when the lab is as it was made.
    package func leftovers() throws -> [String] {
        var found = try devices().map { "device \($0)" }
        found += try namespaces().map { "namespace \($0)" }
        found += try sh("ls /run/heddle 2>/dev/null || true").split(separator: "\n")
            .filter { !$0.hasSuffix(".lock") }.map { "file /run/heddle/\($0)" }
        let programs = try sh("cat /proc/[0-9]*/comm").split(separator: "\n")
        found += programs.filter { ["heddle", "TestPeer", "ping"].contains($0) }
            .map { "process \($0)" }
        return found
    }
}

/// The first child of a process, once it has one.
func child(of process: Int32, seconds: Double = 5) -> Int32? {
    for _ in 0..<Int(seconds * 1000) {
        let path = "/proc/\(process)/task/\(process)/children"
        if let text = try? String(contentsOfFile: path, encoding: .utf8),
            let first = text.split(separator: " ").first, let child = Int32(first)
        {
            return child
        }
        usleep(1000)
    }
    return nil
}
