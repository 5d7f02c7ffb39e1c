// A netlink socket, and the two conversations it holds with the kernel.
//
// A *request* goes out with NLM_F_ACK and a fresh sequence number; the answer is one NLMSG_ERROR
// message, whose error is zero when it was carried out, preceded by data when it asked for some.
// A *dump* is answered by messages marked as parts and ended by NLMSG_DONE; the kernel marks it as
// interrupted when what it lists changed meanwhile, and then it is asked for again. Messages with
// another sequence number are left-overs of a conversation that failed half-way, and are skipped.
//
// The kernel answers on the spot, so a request blocks for as long as the kernel works (it holds
// one lock for all namespaces), not for a peer. Requests are not batched: configuration is rare.
//
// The socket belongs to the network namespace of the thread that opened it. It is not thread-safe
// and not Sendable; hand it over, or open another.

import CLinux
import CMnl
import SystemPackage

package final class NetlinkSocket {
    private let transport: any NetlinkTransport
    private var sequence: UInt32 = 0
    /// Larger than any answer: the kernel fills at most 32 KiB of a dump at a time.
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// How often an interrupted dump is asked for before that is an error.
    private static let dumpAttempts = 16

    /// Opens a socket in the current thread's network namespace.
    package convenience init() throws(NetlinkError) {
        do {
            self.init(transport: try KernelTransport())
        } catch {
            throw .socket(operation: "open a netlink socket", errno: error)
        }
    }

    package init(transport: any NetlinkTransport) {
        self.transport = transport
    }

    deinit {
        buffer.deallocate()
    }

    /// Sends a request (which carries NLM_F_ACK) and returns when the kernel has carried it out.
    /// Messages that precede the acknowledgement go to `body`, which sees them in place.
    func perform(
        _ request: NetlinkRequest, onMessage body: (NetlinkMessage) -> Void = { _ in }
    ) throws(NetlinkError) {
        try send(request)
        _ = try exchange(request, body)
    }

    /// Sends a dump request and returns the parts of the answer, as `parse` made them: a complete
    /// and consistent listing.
    func dump<Part>(
        _ request: NetlinkRequest, parse: (NetlinkMessage) -> Part?
    ) throws(NetlinkError) -> [Part] {
        for _ in 0..<Self.dumpAttempts {
            var parts: [Part] = []
            try send(request)
            let isConsistent = try exchange(request) { message in
                if let part = parse(message) { parts.append(part) }
            }
            if isConsistent { return parts }
        }
        throw .interrupted(operation: request.operation)
    }

    private func send(_ request: NetlinkRequest) throws(NetlinkError) {
        guard !request.isOverlong else {
            throw .refused(
                operation: request.operation, object: request.object, errno: .messageTooLong,
                message: "a name or an alias is too long")
        }
        sequence &+= 1
        do {
            try transport.send(request.numbered(sequence))
        } catch {
            throw .socket(operation: request.operation, errno: error)
        }
    }

    /// Reads up to the end of this conversation; false when a dump was interrupted.
    private func exchange(
        _ request: NetlinkRequest, _ body: (NetlinkMessage) -> Void
    ) throws(NetlinkError) -> Bool {
        var isConsistent = true
        while true {
            for message in try receive(request) where message.sequence == sequence {
                if message.flags & NLM_F_DUMP_INTR != 0 { isConsistent = false }
                switch message.type {
                case NLMSG_ERROR, NLMSG_DONE:
                    guard let outcome = message.outcome else {
                        throw .malformed(operation: request.operation, detail: "is truncated")
                    }
                    guard outcome.errno.rawValue == 0 else {
                        throw .refused(
                            operation: request.operation, object: request.object,
                            errno: outcome.errno, message: outcome.text)
                    }
                    return isConsistent
                default:
                    body(message)
                }
            }
        }
    }

    private func receive(_ request: NetlinkRequest) throws(NetlinkError) -> NetlinkMessages {
        do {
            let byteCount = try transport.receive(into: buffer)
            return NetlinkMessages(UnsafeRawBufferPointer(rebasing: buffer[..<byteCount]))
        } catch {
            throw .socket(operation: request.operation, errno: error)
        }
    }
}
