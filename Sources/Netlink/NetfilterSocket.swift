import CLinux
import CMnl
import SystemPackage

/// A netlink socket to nf_tables, whose changes come in batches: all of a batch or nothing.
///
/// A batch is one datagram: a begin and an end message around the requests, each of which is
/// acknowledged on its own. A batch as a whole, or its begin, may be refused too; that answer bears the
/// begin's sequence number. Like ``NetlinkSocket`` it belongs to the network namespace of the thread
/// that opened it, and is not thread-safe.
final class NetfilterSocket {
    /// What an error names as its object when the whole batch was refused.
    static let batch = "nf_tables"

    private let transport: any NetlinkTransport
    private var sequence: UInt32 = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Opens a socket in the current thread's network namespace.
    convenience init() throws(NetlinkError) {
        do {
            self.init(transport: try KernelTransport(bus: NETLINK_NETFILTER))
        } catch {
            throw .socket(operation: "open a netfilter socket", errno: error)
        }
    }

    init(transport: any NetlinkTransport) {
        self.transport = transport
    }

    deinit {
        buffer.deallocate()
    }

    /// Carries out all requests (which carry NLM_F_ACK), or none and throws why.
    func perform(_ requests: [NetlinkRequest]) throws(NetlinkError) {
        guard let first = requests.first else { return }
        sequence &+= 1
        let begin = sequence
        var bytes = NetlinkRequest.batchBorder(NFNL_MSG_BATCH_BEGIN).numbered(begin)
        for request in requests {
            sequence &+= 1
            bytes += request.numbered(sequence)
        }
        sequence &+= 1
        bytes += NetlinkRequest.batchBorder(NFNL_MSG_BATCH_END).numbered(sequence)
        do {
            try transport.send(bytes)
        } catch {
            throw .socket(operation: first.operation, errno: error)
        }
        try awaitOutcomes(of: requests, begin: begin)
    }

    /// Reads an outcome for every request, or one for the batch.
    private func awaitOutcomes(
        of requests: [NetlinkRequest], begin: UInt32
    ) throws(NetlinkError) {
        var failure: NetlinkError?
        var waiting = requests.count
        while waiting > 0 {
            for message in try receive(requests[0]) {
                // The begin's number, or a request's; anything else is left over.
                let place = Int(message.sequence &- begin) - 1
                guard message.type == NLMSG_ERROR, (-1..<requests.count).contains(place) else {
                    continue
                }
                guard let outcome = message.outcome else {
                    throw .malformed(operation: requests[0].operation, detail: "is truncated")
                }
                if outcome.errno.rawValue != 0, failure == nil {
                    failure = .refused(
                        operation: requests[max(place, 0)].operation,
                        object: place < 0 ? Self.batch : requests[place].object,
                        errno: outcome.errno, message: outcome.text)
                }
                waiting = place < 0 ? 0 : waiting - 1
            }
        }
        if let failure { throw failure }
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

extension NetlinkRequest {
    /// The first or the last message of a batch.
    fileprivate static func batchBorder(_ type: Int32) -> NetlinkRequest {
        NetlinkRequest(Int(type), flags: 0, operation: "change", object: "nf_tables") { message in
            var header = nfgenmsg()
            header.res_id = UInt16(NFNL_SUBSYS_NFTABLES).bigEndian
            message.put(header: header)
        }
    }
}
