import CLinux
import Dataplane
import Glibc

/// The raw socket of GRE and NVGRE, which IP carries without UDP (RFC 2784, RFC 7637): every GRE
/// packet to the host's address, from whoever; the kernel's own GRE devices see copies as well.
///
/// There are no ports, so there is one socket, and no UDP_SEGMENT, so a datagram is a message.
///
/// What the kernel's GRO has put together arrives as one packet, and a raw socket does not tell: an
/// inner TCP super-frame whose checksum field holds the pseudo header's sum only. Every device with
/// GRO does that to GRE over Ethernet with a key. Who takes the packet apart has to expect it.
package final class RawUnderlay: Underlay, @unchecked Sendable {
    // @unchecked: `descriptor` is memory that is written in init only.
    private let socket: UnderlaySocket
    private let descriptor: UnsafeMutablePointer<Int32>
    private let receiver: DatagramReceiver
    private let sender: DatagramSender

    private static let bufferByteCount: Int32 = 8 << 20

    /// Opens the socket in the calling thread's network namespace; it takes CAP_NET_RAW there.
    ///
    /// - Parameters:
    ///   - kind: the encapsulation, for errors: gre, nvgre.
    ///   - local: this host's address, which need not be there yet.
    package init(kind: String, local: UnderlayAddress) throws(PortError) {
        socket = try UnderlaySocket(
            kind: kind, local: local, type: SOCK_RAW, protocol: IPPROTO_GRE)
        socket.setBuffer(receive: Self.bufferByteCount, send: Self.bufferByteCount)
        try socket.forbidFragments()
        // Raw sockets share what they are bound to; there is no "in use".
        _ = try socket.bind(local, port: 0)
        descriptor = .allocate(capacity: 1)
        descriptor.initialize(to: socket.descriptor)
        receiver = DatagramReceiver(
            isIPv4: local.isIPv4, hasIPv4Header: local.isIPv4,
            bufferByteCount: DatagramBatch.bufferByteCount)
        sender = DatagramSender(local: local, port: 0, segments: false)
    }

    deinit { descriptor.deallocate() }

    package var segments: Bool { false }
    package var sourceCount: Int { 1 }
    package var pollDescriptor: Int32? { socket.descriptor }

    /// Packets that did not fit the path's MTU as the kernel knows it; it only grows. Any thread
    /// may ask.
    package var pathMTUErrors: UInt64 { sender.pathMTUErrors.load(ordering: .relaxed) }

    package func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        receiver.receive(from: socket.descriptor, into: &batch)
    }

    package func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) {
        sender.transmit(messages, pieces: pieces, sockets: descriptor)
    }

    /// Sends one packet beside the worker's, a probe; whether it left. Any thread may.
    package func sendProbe(
        _ datagram: UnsafeRawBufferPointer, to destination: UnderlayAddress
    ) -> Bool {
        socket.send(datagram, to: destination, port: 0)
    }
}
