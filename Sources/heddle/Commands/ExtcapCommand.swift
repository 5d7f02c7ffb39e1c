import ArgumentParser
import Control
import ControlAPI
import Foundation

/// Wireshark's way to capture from what is no interface of the kernel: it calls the programs in its
/// folder `extcap` with the options below, which are its own (doc/extcap in its sources).
struct ExtcapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extcap",
        abstract: "Make Wireshark and tshark list the switch's ports.",
        discussion: """
            Without options it installs itself; from then on ports are interfaces to Wireshark, by \\
            name. All other options are for Wireshark to give.

              heddle extcap
              tshark -D
              tshark -i heddle:web-1
            """)

    @Option(
        help: ArgumentHelp(
            "Where to install; where tshark says that Wireshark looks if not given.",
            valueName: "path"))
    var folder: String?
    @Flag(help: "Remove what was installed.") var remove = false

    @Flag(help: .hidden) var extcapInterfaces = false
    @Option(help: .hidden) var extcapVersion: String?
    @Option(help: .hidden) var extcapInterface: String?
    @Flag(help: .hidden) var extcapDlts = false
    @Flag(help: .hidden) var extcapConfig = false
    @Flag(help: .hidden) var capture = false
    @Option(help: .hidden) var fifo: String?
    @Option(help: .hidden) var extcapCaptureFilter: String?
    @Flag(help: .hidden) var drops = false
    @Flag(help: .hidden) var wire = false
    @OptionGroup var client: ClientOptions

    /// What interfaces' names begin with.
    static let prefix = "heddle:"
    /// The interface that is every port.
    private static let everyPort = "all"

    func run() throws {
        if extcapInterfaces {
            Terminal.writeOutput(interfaces())
        } else if let name = extcapInterface {
            try serve(name)
        } else {
            try remove ? uninstall() : install()
        }
    }

    private func serve(_ name: String) throws {
        guard name.hasPrefix(ExtcapCommand.prefix) else {
            throw CommandFailure(
                "'\(name)' is no interface of Heddle: their names begin with "
                    + "'\(ExtcapCommand.prefix)'")
        }
        let port = String(name.dropFirst(ExtcapCommand.prefix.count))
        if extcapDlts {
            Terminal.writeOutput("dlt {number=1}{name=EN10MB}{display=Ethernet}\n")
        } else if extcapConfig {
            Terminal.writeOutput(ExtcapCommand.configurationText)
        } else if capture {
            guard let fifo else {
                throw CommandFailure("--capture: Wireshark names a pipe with --fifo")
            }
            try run(port: port, into: fifo)
        }
    }

    // MARK: What Wireshark asks

    /// Without a switch there are no interfaces, which is no error: Wireshark asks at each start.
    private func interfaces() -> String {
        var text =
            "extcap {version=\(HeddleVersion.current)}{display=Heddle, a switch for virtual "
            + "networks}\n"
        guard let ports = try? client.client.ports().ports else { return text }
        let tunnels = (try? client.client.tunnels().tunnels) ?? []
        func add(_ name: String, _ display: String) {
            text +=
                "interface {value=\(ExtcapCommand.prefix)\(name)}"
                + "{display=Heddle \(ExtcapCommand.plain(display))}\n"
        }
        add(ExtcapCommand.everyPort, "all ports")
        for port in ports {
            let network = port.network ?? port.trunk.joined(separator: ", ")
            add(port.name, "port \(port.name) (\(network))")
        }
        for tunnel in tunnels { add(tunnel.name, "tunnel \(tunnel.name)") }
        return text
    }

    /// Braces end a value in the language that Wireshark reads.
    private static func plain(_ text: String) -> String {
        String(text.map { $0 == "{" || $0 == "}" || $0.isNewline ? " " : $0 })
    }

    private static let configurationText = """
        arg {number=0}{call=--drops}{display=Only dropped frames}{type=boolflag}{default=false}
        arg {number=1}{call=--wire}{display=As on a wire: checksums complete, super-frames cut}\
        {type=boolflag}{default=false}

        """

    private func run(port: String, into fifo: String) throws {
        let request = CaptureRequest(
            ports: port == ExtcapCommand.everyPort ? [] : [port], drops: drops,
            filter: extcapCaptureFilter ?? "", view: wire ? .wire : .seen)
        try CaptureClient(client: client, request: request).run(
            hint: "", duration: nil, sink: { try CaptureSink(path: fifo) })
    }

    // MARK: Installing

    private var script: String {
        var command = "exec \(ExtcapCommand.quoted(ownPath)) extcap"
        if let socket = client.socket { command += " --socket \(ExtcapCommand.quoted(socket))" }
        return """
            #!/bin/sh
            # Lists the ports of Heddle to Wireshark; made by 'heddle extcap'.
            \(command) "$@"

            """
    }

    private var ownPath: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            ?? CommandLine.arguments[0]
    }

    private static func quoted(_ text: String) -> String {
        "'" + text.replacing("'", with: "'\\''") + "'"
    }

    /// Where Wireshark looks: the user's own folder if it knows one, as newer versions do, otherwise
    /// the folder of all users.
    private func installFolder() throws -> String {
        if let folder { return folder }
        guard
            let outcome = try? ChildProcess.run(
                ["tshark", "-G", "folders"], timeout: .seconds(20)),
            outcome.isSuccess
        else {
            throw CommandFailure(
                "tshark is not installed here, which would say where Wireshark looks: install it, "
                    + "or name the folder with --folder")
        }
        // A name, padded, a tab, a path.
        let folders = outcome.standardOutput.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\t").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            return parts.count == 2 && parts[0].lowercased().hasSuffix("extcap path:")
                ? (name: parts[0].lowercased(), path: parts[1]) : nil
        }
        guard
            let found = folders.first(where: { $0.name.hasPrefix("personal") })
                ?? folders.first
        else {
            throw CommandFailure(
                "this tshark knows no extcap folder: name one with --folder")
        }
        return found.path
    }

    private func install() throws {
        let folder = try installFolder()
        let path = folder + "/heddle"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try Data(script.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: path)
        } catch {
            throw CommandFailure(
                "\(path): cannot be written: \(error.localizedDescription); run it as root, or name "
                    + "a folder of your own with --folder and set WIRESHARK_EXTCAP_DIR to it")
        }
        Terminal.writeOutput(
            "installed \(path)\n'tshark -D' lists the ports; 'tshark -i heddle:PORT' captures\n")
    }

    private func uninstall() throws {
        let path = try installFolder() + "/heddle"
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("\(path): there is nothing to remove")
        }
        guard String(decoding: data, as: UTF8.self).contains("made by 'heddle extcap'") else {
            throw CommandFailure("\(path): was not made by 'heddle extcap', and stays")
        }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw CommandFailure("\(path): cannot be removed: \(error.localizedDescription)")
        }
        Terminal.writeOutput("removed \(path)\n")
    }
}
