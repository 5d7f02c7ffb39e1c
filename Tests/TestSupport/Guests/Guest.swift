import Foundation

/// A virtual machine in a ``Lab``: a Debian kernel with busybox, run by QEMU's emulation of the processor or as
/// user-mode Linux. Neither needs /dev/kvm, which on some machines is there and runs no stock kernel.
///
/// The test talks to a shell over the console, one command at a time (Tests/Guests/init). With
/// the lab the machine ends, whatever happened.
package final class Guest {
    package enum Kind {
        /// Debian's full kernel on a q35.
        case x86
        /// Debian's cloud kernel on a virt board.
        case arm64
        /// User-mode Linux, whose network card is its own.
        case userMode
    }

    package struct Output {
        package let status: Int
        /// Both streams.
        package let text: String
    }

    /// A command that was begun; until it has ended the guest takes no other.
    package struct Command {
        fileprivate let number: Int
        fileprivate let text: String
        /// Where its answer begins, at the earliest.
        fileprivate let position: Int
    }

    package let name: String
    /// The name of its network card's interface.
    package let device: String
    package let monitor: GuestMonitor
    private let console: GuestPipe
    private let process: LabProcess
    private let isEmulated: Bool
    private var count = 0

    /// Megabytes: enough for each of the kernels and what tests run there.
    private static let memory = 96

    /// Starts the machine; ``waitForBoot(seconds:)`` and ``setUp(addresses:mtu:)`` come next.
    ///
    /// - Parameters:
    ///   - incoming: a Unix socket: the machine waits there for another to migrate to it.
    ///   - wrapper: a program that runs the emulator, with its arguments.
    package init(
        in lab: Lab, _ name: String, _ kind: Kind, _ nic: GuestNIC,
        namespace: String? = nil, incoming: String? = nil, wrapper: [String] = []
    ) throws {
        self.name = name
        isEmulated = kind != .userMode
        device = kind == .userMode ? "vec0" : "eth0"
        let path = "\(lab.directory)/\(name)"
        console = try GuestPipe(path + ".console")
        let monitorPipe = try GuestPipe(path + ".monitor")
        monitor = GuestMonitor(monitorPipe)
        let command =
            kind == .userMode
            ? try Self.userMode(path, nic, console)
            : try Self.emulator(kind, nic, console, monitorPipe, incoming)
        process = try lab.start(wrapper + command, in: namespace)
    }

    /// The same, of an x86 machine.
    package convenience init(
        in lab: Lab, _ name: String, _ nic: GuestNIC, namespace: String? = nil,
        incoming: String? = nil
    ) throws {
        try self.init(in: lab, name, .x86, nic, namespace: namespace, incoming: incoming)
    }

    private static func emulator(
        _ kind: Kind, _ nic: GuestNIC, _ console: GuestPipe, _ monitor: GuestPipe,
        _ incoming: String?
    ) throws -> [String] {
        // What a guest for a minute has no use for; it takes half of the time until the shell.
        let quick =
            "quiet panic=-1 net.ifnames=0 mitigations=off audit=0 apparmor=0 cryptomgr.notests"
            + " no_timer_check tsc=reliable noreplace-smp nokaslr rodata=off"
        let modules = "guest.modules=" + nic.model.modules.joined(separator: ",")
        let folder = try GuestImages.folder(kind == .x86 ? "x86" : "arm64")
        let machine =
            kind == .x86
            ? [
                "qemu-system-x86_64", "-M", "q35,smm=off,vmport=off,hpet=off", "-cpu", "qemu64",
                "-kernel", "\(folder)/vmlinux", "-append", "console=ttyS0 \(quick) \(modules)",
            ]
            : [
                "qemu-system-aarch64", "-M", "virt,acpi=off", "-cpu", "cortex-a57",
                "-kernel", "\(folder)/Image", "-append", "console=ttyAMA0 \(quick) \(modules)",
            ]
        return machine + [
            "-initrd", "\(folder)/initrd", "-accel", "tcg", "-m", "\(memory)",
            "-smp", "\(nic.queueCount)", "-nodefaults",
            "-display", "none", "-no-reboot",
            "-chardev", "pipe,id=console,path=\(console.path)", "-serial", "chardev:console",
            "-chardev", "pipe,id=monitor,path=\(monitor.path)", "-mon", "monitor,mode=control",
        ] + nic.emulatorArguments(memory: memory)
            + (incoming.map { ["-incoming", "unix:\($0)"] } ?? [])
    }

    private static func userMode(
        _ path: String, _ nic: GuestNIC, _ console: GuestPipe
    ) throws -> [String] {
        let folder = try GuestImages.folder("uml")
        let linux = [
            "\(folder)/linux", "mem=\(memory)M", "initrd=\(folder)/initrd", "uml_dir=\(path).uml",
            "umid=guest", "con=null", "con0=fd:0,fd:1", "console=tty0", "quiet", "panic=-1",
            "guest.modules=crc-ccitt,ipv6", nic.userModeArgument,
        ].joined(separator: "' '")
        return ["sh", "-c", "exec '\(linux)' <'\(console.path).in' >'\(console.path).out'"]
    }

    // MARK: Its life

    /// Waits until the shell is there.
    package func waitForBoot(seconds: Double = 60) throws {
        _ = try wait(for: "@ready ", from: 0, seconds: seconds, what: "it has booted")
    }

    /// Gives its network card addresses (with prefix lengths; IPv4 and IPv6) and sets it up.
    package func setUp(_ addresses: String..., mtu: Int = 1500) throws {
        try sh(
            (["ip link set \(device) mtu \(mtu) up"]
                + addresses.map { "ip addr add \($0) dev \(device)" }).joined(separator: " && "))
    }

    /// Ends it at once, as pulling the plug does.
    package func stop() throws {
        guard process.isRunning else { return }
        if isEmulated {
            try monitor.execute("quit")
        } else {
            // Killed, it would leave processes that do its system calls.
            try console.send("0 poweroff -f")
        }
        try process.waitForEnd()
    }

    // MARK: Commands

    /// Begins a command: one line for the guest's shell.
    package func begin(_ command: String) throws -> Command {
        precondition(!command.contains("\n"), "one line")
        console.take(milliseconds: 0)
        count += 1
        let begun = Command(number: count, text: command, position: console.received.count)
        try console.send("\(count) \(command)")
        return begun
    }

    /// Waits until a command has printed something.
    package func wait(for text: String, from command: Command, seconds: Double = 20) throws {
        let start = try begin(of: command, seconds: seconds)
        _ = try wait(
            for: text, from: start, seconds: seconds, what: "'\(command.text)' says '\(text)'")
    }

    /// Waits until a command has ended.
    package func finish(_ command: Command, seconds: Double = 30) throws -> Output {
        let start = try begin(of: command, seconds: seconds)
        let mark = "@>\(command.number) "
        let end = try wait(
            for: mark, from: start, seconds: seconds, what: "'\(command.text)' has ended")
        let lineEnd = try wait(for: "\n", from: end, seconds: seconds, what: "its status is there")
        return Output(
            status: Int(console.text(end..<lineEnd).dropLast()) ?? -1,
            text: console.text(start..<end - mark.utf8.count))
    }

    /// Runs a command to its end.
    package func run(_ command: String, seconds: Double = 30) throws -> Output {
        try finish(try begin(command), seconds: seconds)
    }

    /// Runs a command that must succeed; what it printed.
    @discardableResult
    package func sh(_ command: String, seconds: Double = 30) throws -> String {
        let output = try run(command, seconds: seconds)
        guard output.status == 0 else {
            throw Lab.Failure("\(name): '\(command)' ended with \(output.status): \(output.text)")
        }
        return output.text
    }

    private func begin(of command: Command, seconds: Double) throws -> Int {
        try wait(
            for: "@<\(command.number)\n", from: command.position, seconds: seconds,
            what: "'\(command.text)' begins")
    }

    /// The place behind a text, once the guest has printed it.
    private func wait(
        for text: String, from start: Int, seconds: Double, what: String
    ) throws -> Int {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            if let end = console.end(of: text, from: start) { return end }
            guard Date() < deadline, process.isRunning else {
                let reason = process.isRunning ? "" : " (it ended)"
                throw Lab.Failure(
                    "waited \(seconds) s in vain until \(what)\(reason); guest \(name) said\n"
                        + console.text(
                            max(0, console.received.count - 3000)..<console.received.count)
                        + "\n\(process.standardError)")
            }
            console.take(milliseconds: 100)
        }
    }
}
