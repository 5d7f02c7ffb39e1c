import ArgumentParser
import Control
import ControlAPI
import SystemPackage

/// What QEMU runs for `-netdev bridge,br=NETWORK,helper=…`: it wants a TAP device's descriptor on
/// the socket whose number it gives (qemu-bridge-helper's protocol: one byte with the descriptor).
struct BridgeHelperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bridge-helper",
        abstract: "Give a network card to QEMU, which calls this itself.",
        discussion: """
              qemu-system-x86_64 … -netdev bridge,id=n0,br=blue,helper=/usr/libexec/heddle-bridge-helper

            The helper is this program under another name ('ln -s heddle heddle-bridge-helper'). \
            It asks the switch, at $HEDDLE_SOCKET or in the usual places; no privilege is needed \
            where the user may: see 'heddle run --nic-group'.
            """)

    /// The name under which the program is this command.
    static let programName = "heddle-bridge-helper"

    @Option(help: "The network; QEMU calls it a bridge.") var br: String
    @Option(help: "Descriptor of the socket to QEMU.") var fd: Int32
    @Flag(help: "Frames have a virtio-net header.") var useVnet = false
    @OptionGroup var client: ClientOptions

    func run() throws {
        let socket = try connect()
        try socket.send(try DataRequest.nic(network: br, hasHeader: useVnet).json())
        guard case .message(let message) = try socket.receive(descriptors: 1) else {
            throw CommandFailure("the switch closed the connection without an answer")
        }
        let reply = try dataReply(message.bytes)
        guard reply.ok, let tap = message.descriptors.first else {
            throw CommandFailure(reply.error ?? "the switch sent no network card")
        }
        try SeqpacketSocket(owning: FileDescriptor(rawValue: fd)).send([0], descriptors: [tap])
    }

    /// The socket for everything, or that for network cards alone.
    private func connect() throws -> SeqpacketSocket {
        var failure: (any Error)?
        for candidate in SocketPath(option: client.socket).candidates {
            for suffix in [DataRequest.pathSuffix, DataRequest.nicPathSuffix] {
                do {
                    return try SeqpacketSocket.connect(to: candidate + suffix)
                } catch {
                    if error.errno != .noSuchFileOrDirectory { failure = failure ?? error }
                }
            }
        }
        throw failure
            ?? CommandFailure(
                "no switch answers at \(SocketPath(option: client.socket).candidates.joined(separator: ", ")): "
                    + "start one, or set HEDDLE_SOCKET for QEMU")
    }
}
