import ArgumentParser
import Dataplane
import Foundation
import TestSupport
import Testing

@testable import Topology
@testable import heddle

@Suite("The README")
struct ReadmeTests {
    let readme: ReadmeFile

    init() throws { readme = try ReadmeFile() }

    // MARK: Topologies

    @Test("shows YAML that Heddle accepts")
    func yaml() throws {
        let blocks = readme.blocks.filter { $0.language == "yaml" }
        #expect(!blocks.isEmpty)
        for block in blocks {
            #expect(throws: Never.self, "README.md:\(block.line)") {
                try Topology.decode(block.text, file: "README.md")
            }
        }
    }

    @Test("has every key of a topology file in its tables, with the meaning that the schema gives")
    func keys() throws {
        for mapping in [
            MappingKind.file, .bridge, .sflow, .host, .overlay, .encapsulation, .network, .port,
            .tap,
            .veth, .device, .match, .vhostUser, .socket, .pcap,
        ] {
            try compare(mapping)
        }
    }

    private func compare(_ mapping: MappingKind) throws {
        let table = try #require(
            readme.tables.first {
                $0.header.first?.plain == "key of \(mapping.title)"
            }, "a table whose first column is 'key of \(mapping.title)'")
        #expect(table.rows.map { $0[0].plain } == mapping.keys.map(\.name))
        for (row, key) in zip(table.rows, mapping.keys) {
            let name = "\(mapping.title).\(key.name)"
            #expect(row[1].plain == type(of: key.kind), "\(name)")
            #expect(row[2].plain == (Self.defaults[name] ?? (key.isRequired ? "required" : "")))
            #expect(row[3].plain == Self.meaning(of: key), "\(name)")
        }
    }

    /// What the schema says, less the default in parentheses at its end.
    private static func meaning(of key: KeyKind) -> String {
        key.doc.replacing(#/ \([0-9a-z]+\)\.$/#, with: ".")
    }

    private func type(of kind: ValueKind) -> String {
        switch kind {
        case .integer(let range) where range.count == 1: "\(range.lowerBound)"
        case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .seconds(let range): "seconds, \(range.lowerBound)s to \(range.upperBound)s"
        case .boolean: "true or false"
        case .vlan: "1 to 4094"
        case .name: "name"
        case .network: "network"
        case .deviceName: "device name"
        case .mac: "MAC address"
        case .interfaceAddress: "address/prefix length"
        case .underlayAddress: "IP address"
        case .udpEndpoint: "address and UDP port"
        case .choice(let words): keyList(words)
        case .glob: "pattern"
        case .socketPath: "absolute path"
        case .account: "name or number"
        case .permissions: "octal digits"
        case .text: "text"
        case .list(let element, minimum: _): "list of \(type(of: element))"
        case .mapping(let mapping): "mapping, see \(mapping.title)"
        case .named(let mapping, limit: let limit):
            "mapping of up to \(limit) names, see \(mapping.title)"
        case .byNetwork(let element): "mapping from networks to \(type(of: element))"
        }
    }

    /// Taken from the values that the decoder falls back to.
    private static let defaults: [String: String] = {
        let bridge = SwitchSpec()
        let sflow = SFlowSpec(collector: UDPEndpoint(address: .v4(.init(rawValue: 1)), port: 1))
        let settings = TunnelSettings()
        let port = PortSpec(
            name: "p", membership: .access(network: "n"), attachment: .tap(TAPSpec()))
        return [
            "switch.ageing": "\(bridge.ageingSeconds)s",
            "switch.fdb-limit": "\(bridge.fdbLimit)",
            "switch.port-fdb-limit": "\(bridge.portFDBLimit)",
            "sflow.sampling": "\(sflow.sampling)",
            "sflow.polling": "\(sflow.pollingSeconds)s",
            "sflow.header": "\(sflow.headerByteCount)",
            "switch.recorder": "\(bridge.recorder)",
            "overlay.kind": OverlaySpec().kind.rawValue,
            "overlay.probe": "\(settings.probes)",
            "overlay.probe-interval": "\(settings.probeMilliseconds)",
            "overlay.mss-clamp": "\(settings.clampsMSS)",
            "network.mtu": "\(NetworkSpec(name: "n").mtu)",
            "port.isolated": "\(port.isolated)",
            "port.sticky": "\(port.sticky)",
            "port.up": "\(port.up)",
            "vhost-user.mode": "\(VhostUserSpec(socket: "/s").mode)",
            "vhost-user.queues": "\(VhostUserSpec(socket: "/s").queues)",
            "socket.mode": "\(SocketSpec(path: "/s", protocol: .bess).mode)",
        ]
    }()

    // MARK: Commands

    /// Every command without subcommands, by its words: `fdb list`.
    private static var commands: [(words: String, type: any ParsableCommand.Type)] {
        func leaves(
            of command: any ParsableCommand.Type, _ prefix: [String]
        ) -> [(String, any ParsableCommand.Type)] {
            let configuration = command.configuration
            guard !configuration.subcommands.isEmpty else {
                return [(prefix.joined(separator: " "), command)]
            }
            return configuration.subcommands.flatMap {
                leaves(of: $0, prefix + [$0.configuration.commandName ?? ""])
            }
        }
        return leaves(of: Heddle.self, [])
    }

    @Test("has every command in its table, with all of its options and in an example")
    func commands() throws {
        let table = try #require(readme.tables.first { $0.header.first == "command" })
        let typed = (consoles + rootConsoles).flatMap(\.commands).map(\.text.collapsingSpaces)
        var rows = table.rows
        for (words, type) in Self.commands {
            let place = rows.firstIndex {
                ($0[0].plain + " ").hasPrefix("heddle \(words) ")
            }
            guard let place else {
                Issue.record("README.md: 'heddle \(words)' is not in the table of commands")
                continue
            }
            let row = rows.remove(at: place).joined(separator: " ")
            let help = Heddle.helpMessage(for: type, columns: 200)
            for option in help.matches(of: /(?m)^  (?:-., )?(-[-a-z]+)/).map({ String($0.1) })
            where !["--help", "--version", "--socket", "--output", "-h"].contains(option) {
                #expect(row.contains("`\(option)"), "heddle \(words) takes \(option)")
            }
            #expect(
                typed.contains { $0.contains("heddle \(words)") }, "heddle \(words) in an example")
        }
        #expect(rows.map { $0[0] } == [], "these are no commands")
    }

    @Test("names only commands that there are")
    func spans() {
        let known = Self.commands.map(\.words)
        let groups = Set(known.map { String($0.prefix { $0 != " " }) })
        for (line, code) in readme.spans where code.hasPrefix("heddle ") {
            let words = code.split(separator: " ").dropFirst().prefix(2).joined(separator: " ")
            let isKnown =
                known.contains { "\(words) ".hasPrefix("\($0) ") } || groups.contains(words)
            #expect(isKnown, "README.md:\(line): \(code)")
        }
    }

    @Test("says of each kind of guest by which test it is run, or that it is not")
    func guests() throws {
        let table = try #require(readme.tables.first { $0.header.first == "guest or hypervisor" })
        let folder = ReadmeFile.root.appending(path: "Tests/SwitchTests")
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".swift") }
        // Names of tests as they stand in the sources, on whichever line.
        let sources = try files.map {
            try String(contentsOf: folder.appending(path: $0), encoding: .utf8)
        }.joined()
        #expect(table.rows.count > 10)
        for row in table.rows where row[3] != "not run here" {
            #expect(sources.contains(row[3]), "README.md: no test is called \(row[3])")
        }
    }

    @Test("names only targets that the Makefile has")
    func targets() throws {
        let makefile = try String(
            contentsOf: ReadmeFile.root.appending(path: "Makefile"), encoding: .utf8)
        let targets = Set(makefile.matches(of: /(?m)^([a-z-]+):/).map { String($0.1) })
        let named =
            readme.spans.map(\.code) + consoles.flatMap(\.commands).map(\.text)
        let words = named.filter { $0.hasPrefix("make ") }
            .flatMap { $0.split(separator: " ").dropFirst().prefix(1).map(String.init) }
        #expect(words.contains("run") && words.contains("test"))
        for word in words { #expect(targets.contains(word), "make \(word)") }
    }

    @Test("links only to files that there are")
    func links() {
        for match in readme.lines.joined(separator: "\n").matches(of: /\]\(([^)#]+)\)/)
        where !match.1.contains("://") {
            let path = ReadmeFile.root.appending(path: String(match.1)).path
            #expect(FileManager.default.fileExists(atPath: path), "\(match.1)")
        }
    }

    @Test("has a row for every reason to drop a frame")
    func dropReasons() throws {
        let table = try #require(readme.tables.first { $0.header.first == "reason" })
        let reasons = DropReason.allCases.filter { $0 != .none }
        #expect(table.rows.map { $0.map(\.plain) } == reasons.map { [$0.name, $0.sentence] })
    }

    // MARK: Running

    private var consoles: [Console] {
        readme.blocks.filter { $0.language == "console" }.map(Console.init)
    }

    /// Those of a shell that the `sh` blocks were pasted into.
    private var rootConsoles: [Console] {
        readme.blocks.filter { $0.language == "console root" }.map(Console.init)
    }

    /// Whether an ordinary sandbox is possible here, and the programs of the examples are there.
    private static let canRun: Bool = {
        let needed = ["ping", "tshark", "curl", "ip", "nsenter"].filter {
            !ExternalTool.isAvailable($0)
        }
        guard needed.isEmpty else { return false }
        guard access("/dev/net/tun", R_OK | W_OK) == 0,
            let outcome = try? ExternalTool("unshare").run(
                ["--user", "--map-root-user", "--net", "--mount", "true"]),
            outcome.status == 0
        else {
            print("SKIPPED: the commands of the README; they need /dev/net/tun and user namespaces")
            return false
        }
        return true
    }()

    @Test(
        "shows commands that work and say what it says", .enabled(if: canRun),
        .timeLimit(.minutes(5)))
    func console() throws {
        try TemporaryDirectory.with { directory in
            let lab = try Lab(in: directory)
            defer { lab.stop() }
            for console in consoles {
                let commands = console.commands.filter { !isForMake($0) }
                if let start = startCommand(console.commands[0]) {
                    try #require(
                        console.commands.count == 1, "a command that runs on has its own block")
                    check(try lab.start(start), console.commands[0])
                } else if !commands.isEmpty {
                    let texts = commands.map { $0.text.replacing(".build/release/", with: "") }
                    for (outcome, command) in zip(try lab.run(texts), commands) {
                        check(outcome, command)
                    }
                }
            }
        }
    }

    @Test(
        "shows what to paste as root, which works and says what it says", .enabled(if: canRun),
        .timeLimit(.minutes(2)))
    func rootShell() throws {
        try TemporaryDirectory.with { directory in
            let shell = try Lab(in: directory).rootShell()
            var count = 0
            for block in readme.blocks {
                if block.language == "sh" {
                    let outcome = try shell.paste(block.text)
                    #expect(outcome.status == 0, "README.md:\(block.line): \(outcome.output)")
                } else if block.language == "console root" {
                    let commands = Console(block).commands
                    for (outcome, command) in zip(try shell.run(commands.map(\.text)), commands) {
                        check(outcome, command)
                        count += 1
                    }
                }
            }
            #expect(count > 0)
        }
    }

    private func check(_ outcome: Lab.Outcome, _ command: Console.Command) {
        let place = "README.md:\(command.line): \(command.text)\n\(outcome.output)"
        #expect(outcome.status == command.status, "\(place)")
        let missing = Console.firstMissing(of: command.expected, in: outcome.output)
        #expect(missing == nil, "\(place)")
    }

    /// Other targets than `run` take minutes, or run this very test.
    private func isForMake(_ command: Console.Command) -> Bool {
        command.text.hasPrefix("make ") || command.text.hasPrefix("git ")
    }

    /// What starts the switch, if the command is one that does.
    private func startCommand(_ command: Console.Command) -> String? {
        let text = command.text.replacing(".build/release/", with: "")
        if text == "make run" {
            return "heddle run --sandbox --report topologies/quickstart.yaml"
        }
        if text.hasPrefix("sudo heddle run ") {
            // As root, but in namespaces of the test's own, with a state directory of its own.
            return "unshare --user --map-root-user --net --mount sh -c "
                + "'mount -t tmpfs none /run && mount -t tmpfs none /var/lib && exec "
                + "\(text.dropFirst("sudo ".count))'"
        }
        return text.hasPrefix("heddle run ") ? text : nil
    }
}
