// The sockets of one encapsulation over UDP (VXLAN, Geneve).
//
// All datagrams come to one socket, bound to the host's address and the encapsulation's port. They
// leave by others: a socket has one source port, and the source port is what spreads flows over the
// paths and queues of the physical network (RFC 7348 §5), so there is a pool, each bound to a port
// of the dynamic range. A flow stays on one of them. They are not connected: one socket serves all
// peers.
//
// Checksums are on, outgoing: UDP_SEGMENT needs them, and a device computes them. Incoming, a zero
// checksum is accepted over IPv6 as well (RFC 6935, which RFC 7348 and RFC 8926 rely on).
//
// A socket gives bytes, not what the kernel still owes them. From a kernel tunnel device on this
// machine, over a veth, inner frames arrive with partial checksums, and TCP super-frames whole, in
// one datagram without UDP_GRO's word on it. Who takes the datagram apart has to expect it.

import CLinux
import Dataplane
import Glibc

package final class UDPUnderlay: Underlay, @unchecked Sendable {
    // @unchecked: `sourceDescriptors` is memory that is written in init only.
    package let sourceCount: Int
    /// Whether the kernel hands over several datagrams as one message.
    package let coalesces: Bool
    let receiving: UnderlaySocket
    let sources: [UnderlaySocket]
    private let sourceDescriptors: UnsafeMutablePointer<Int32>
    private let receiver: DatagramReceiver
    let sender: DatagramSender
    private let asked: UDPOffloads
    private let port: UInt16

    /// What may wait in the kernel, coming and going. A second's worth it is not, but as long as a
    /// worker that has lost its processor may be away: 3 ms at 20 Gbit/s.
    package static let receiveBufferByteCount: Int32 = 8 << 20
    private static let sendBufferByteCount: Int32 = 4 << 20
    /// RFC 6335 §6, and RFC 7348 §5 recommends it.
    static let sourcePorts: ClosedRange<UInt16> = 49_152...65_535

    /// Opens all sockets in the calling thread's network namespace: all or nothing.
    ///
    /// - Parameters:
    ///   - kind: the encapsulation, for errors: vxlan, geneve.
    ///   - local: this host's address, which need not be there yet.
    ///   - port: the UDP port, here and at every peer.
    ///   - sourceCount: source ports to send from, a power of two.
    ///   - offloads: what to use of what the kernel has.
    ///   - bufferByteCount: how much of each of a batch's buffers to use.
    package init(
        kind: String, local: UnderlayAddress, port: UInt16, sourceCount: Int = 16,
        offloads: UDPOffloads = .ofKernel(),
        bufferByteCount: Int = DatagramBatch.bufferByteCount
    ) throws(PortError) {
        precondition((1...64).contains(sourceCount) && sourceCount & (sourceCount - 1) == 0)
        receiving = try Self.receivingSocket(kind, local, port)
        coalesces =
            offloads.contains(.coalescing) && receiving.set(Int32(IPPROTO_UDP), UDP_GRO, 1)
        var sources: [UnderlaySocket] = []
        for _ in 0..<sourceCount { sources.append(try Self.sourceSocket(kind, local)) }
        self.sources = sources
        self.sourceCount = sourceCount
        sourceDescriptors = .allocate(capacity: sourceCount)
        for (place, source) in sources.enumerated() {
            (sourceDescriptors + place).initialize(to: source.descriptor)
        }
        asked = offloads
        self.port = port
        receiver = DatagramReceiver(
            isIPv4: local.isIPv4, hasIPv4Header: false, bufferByteCount: bufferByteCount)
        sender = DatagramSender(
            local: local, port: port, segments: offloads.contains(.segmentation))
    }

    deinit { sourceDescriptors.deallocate() }

    package var pollDescriptor: Int32? { receiving.descriptor }

    package var segments: Bool { sender.segmentLimit.load(ordering: .relaxed) > 1 }

    /// Why ``segments`` is false, for logs and `doctor`; nil when it is true. Any thread may ask.
    package var segmentationProblem: String? {
        guard !segments else { return nil }
        guard asked.contains(.segmentation) else {
            return "the kernel lacks UDP_SEGMENT, or it was turned off"
        }
        let error = String(cString: strerror(sender.refusal.load(ordering: .relaxed)))
        return "the kernel refused to segment UDP datagrams (\(error)): the route to a peer may "
            + "use IPsec, or a device without checksum offload"
    }

    /// Datagrams that did not fit the path's MTU as the kernel knows it; it only grows. Any thread
    /// may ask.
    package var pathMTUErrors: UInt64 { sender.pathMTUErrors.load(ordering: .relaxed) }

    package func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        receiver.receive(from: receiving.descriptor, into: &batch)
    }

    package func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) {
        sender.transmit(messages, pieces: pieces, sockets: sourceDescriptors)
    }

    /// Sends one datagram beside the worker's, a probe; whether it left. Any thread may.
    package func sendProbe(
        _ datagram: UnsafeRawBufferPointer, to destination: UnderlayAddress
    ) -> Bool {
        sources[0].send(datagram, to: destination, port: port)
    }

    // MARK: Opening

    private static func receivingSocket(
        _ kind: String, _ local: UnderlayAddress, _ port: UInt16
    ) throws(PortError) -> UnderlaySocket {
        let socket = try UnderlaySocket(
            kind: kind, local: local, type: SOCK_DGRAM, protocol: IPPROTO_UDP)
        socket.setBuffer(receive: receiveBufferByteCount)
        if !local.isIPv4 { try socket.require(Int32(IPPROTO_UDP), UDP_NO_CHECK6_RX, 1) }
        guard try socket.bind(local, port: port) == 0 else {
            throw .underlayPortTaken(kind: kind, address: local.text, port: port)
        }
        return socket
    }

    private static func sourceSocket(
        _ kind: String, _ local: UnderlayAddress
    ) throws(PortError) -> UnderlaySocket {
        let socket = try UnderlaySocket(
            kind: kind, local: local, type: SOCK_DGRAM, protocol: IPPROTO_UDP)
        socket.setBuffer(send: sendBufferByteCount)
        try socket.forbidFragments()
        try socket.refuseEverything()
        // At random, as any sender's should be (RFC 6056), until one is free.
        for _ in 0..<1000 {
            if try socket.bind(local, port: .random(in: sourcePorts)) == 0 { return socket }
        }
        throw .noSourcePort(kind: kind, address: local.text)
    }
}
