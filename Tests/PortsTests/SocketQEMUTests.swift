import CLinux
import Foundation
import TestSupport
import Testing
import Wire

@testable import Dataplane
@testable import Ports

/// A server's side of DHCP (RFC 2131), as far as a boot ROM's first question needs it.
private enum DHCP {
    static let server = IPv4Address(10, 9, 8, 1)
    static let serverAddress = MACAddress(rawValue: 0x0200_0000_00FE)

    /// The message's kind (option 53) of a frame with a client's request; nil for other frames.
    static func kind(_ frame: [UInt8]) -> UInt8? {
        guard frame.count > 14 + 28 + 240, frame[12...13] == [8, 0], frame[23] == 17,
            frame[36...37] == [0, 67]
        else { return nil }
        var options = frame[(42 + 240)...]
        while let code = options.first, code != 255 {
            guard code != 0 else {
                options = options.dropFirst()
                continue
            }
            guard options.count > 2 else { return nil }
            let start = options.startIndex
            if code == 53 { return options[start + 2] }
            options = options.dropFirst(2 + Int(options[start + 1]))
        }
        return nil
    }

    static func offer(to frame: [UInt8]) -> [UInt8] {
        let question = frame[42...]
        let start = question.startIndex
        var message: [UInt8] = [2, 1, 6, 0] + question[start + 4..<start + 12]
        message += [0, 0, 0, 0, 10, 9, 8, 2, 10, 9, 8, 1, 0, 0, 0, 0]
        message += question[start + 28..<start + 44]
        message += [UInt8](repeating: 0, count: 192) + [99, 130, 83, 99]
        message += [53, 1, 2, 54, 4, 10, 9, 8, 1, 51, 4, 0, 0, 1, 0, 1, 4, 255, 255, 255, 0, 255]
        return FrameBuilder(from: serverAddress, to: MACAddress(rawValue: 0xFFFF_FFFF_FFFF))
            .ipv4(from: server, to: IPv4Address(255, 255, 255, 255))
            .udp(from: 67, to: 68, payload: message)
    }
}

/// The boot ROM of QEMU's network cards asks for an address: a guest that needs no disk.
@Suite(
    "A virtual machine of QEMU's", .serialized,
    .enabled(if: ExternalTool.isAvailable("qemu-system-x86_64", package: "qemu-system-x86")))
struct SocketQEMUTests {
    private final class Machine {
        private let process = Process()

        init(_ card: String, _ backend: String) throws {
            process.executableURL = URL(
                fileURLWithPath: try ExternalTool("qemu-system-x86_64").path)
            process.arguments = [
                "-nodefaults", "-machine", "pc", "-accel", "tcg", "-m", "64", "-display", "none",
                "-boot", "order=n", "-netdev", "\(backend),id=n0", "-device",
                "\(card),netdev=n0,mac=52:54:00:00:00:01",
            ]
            process.standardInput = FileHandle.nullDevice
            try ExternalTool.withNoSignalBlocked { try process.run() }
        }

        func end() {
            guard process.isRunning else { return }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }

        deinit { end() }
    }

    /// One machine after the other at a port.
    private struct Case {
        var kind: UnixSocketPort.Kind
        /// For datagrams: the port is told where the machine receives.
        var isServer: Bool
        var card: String
        var boots: Int
        var port: UnixSocketPort?
        var machine: Machine?
        var isOffered = false

        func backend(_ lab: SocketLab) -> String {
            let (path, vm) = paths(lab)
            switch kind {
            case .qemuStream:
                let server = isServer ? "off" : "on"
                return "stream,server=\(server),addr.type=unix,addr.path=\(path)"
            case .qemuDatagram:
                return "dgram,local.type=unix,local.path=\(vm),remote.type=unix,"
                    + "remote.path=\(path)"
            default: return "vde,sock=\(path)"
            }
        }

        func paths(_ lab: SocketLab) -> (path: String, vm: String) {
            (lab.path("\(kind)-\(isServer)"), lab.path("vm-\(isServer)"))
        }

        mutating func start(_ lab: SocketLab) throws {
            let (path, vm) = paths(lab)
            port = try lab.port(
                kind, path, isServer: isServer,
                peer: kind == .qemuDatagram && isServer ? vm : nil)
            machine = try Machine(card, backend(lab))
        }

        /// Answers what came; the machine that got its answer is replaced by the next.
        mutating func step(_ lab: SocketLab) throws {
            guard boots > 0, let port, lab.isReadable(port) else { return }
            for frame in lab.step(port) {
                switch DHCP.kind(frame) {
                case 1:
                    #expect(lab.transmit([DHCP.offer(to: frame)], to: port) == [.none])
                    isOffered = true
                case 3 where isOffered:
                    machine?.end()
                    lab.settle(port) { !$0.isConnected }
                    isOffered = false
                    boots -= 1
                    if boots > 0 { machine = try Machine(card, backend(lab)) }
                    return
                default: break
                }
            }
        }
    }

    @Test("gets what its boot ROM asks for, over each protocol, and so does its successor")
    func boot() throws {
        try SocketLab.with { lab in
            var cases = [
                Case(kind: .qemuStream, isServer: true, card: "virtio-net-pci", boots: 1),
                Case(kind: .qemuStream, isServer: false, card: "e1000", boots: 2),
                Case(kind: .qemuDatagram, isServer: true, card: "virtio-net-pci", boots: 1),
                Case(kind: .qemuDatagram, isServer: false, card: "rtl8139", boots: 2),
                Case(kind: .vde, isServer: true, card: "virtio-net-pci", boots: 1),
            ]
            for place in cases.indices { try cases[place].start(lab) }
            let deadline = Date(timeIntervalSinceNow: 120)
            while cases.contains(where: { $0.boots > 0 }), Date() < deadline {
                for place in cases.indices { try cases[place].step(lab) }
                usleep(1000)
            }
            for done in cases {
                #expect(
                    done.boots == 0, "\(done.kind), \(done.card): \(done.isOffered)")
                #expect(done.port?.malformedCount == 0)
            }
        }
    }
}
