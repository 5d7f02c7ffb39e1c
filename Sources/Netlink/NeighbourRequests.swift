import CLinux
import SystemPackage
import Wire

/// What the kernel knows of the station behind an address on a link (ARP, RFC 826; IPv6 neighbour
/// discovery, RFC 4861 section 7.3.2, whose states these are).
package struct Neighbour: Equatable, Sendable {
    package enum State: String, Sendable {
        /// Asked for, no answer yet.
        case incomplete
        /// It answered lately.
        case reachable
        /// It answered once; nothing was sent to it since.
        case stale
        /// Sent to on old knowledge, to be probed in a moment.
        case delay
        /// Being asked again.
        case probe
        /// It does not answer.
        case failed
        /// The link has no need to ask: a loopback or point-to-point device.
        case unasked
        /// Entered by hand.
        case permanent
        /// Never asked for, or forgotten.
        case none
    }

    package var state: State
    /// Nil while it is not known, and on links without Ethernet addresses.
    package var address: MACAddress?
}

extension NetlinkSocket {
    /// What is known of the station behind an address; ``Neighbour/State/none`` without an entry.
    /// Asking does not make the kernel ask the station.
    package func neighbour(
        _ address: IPAddress, device: Int32
    ) throws(NetlinkError) -> Neighbour {
        var found: Neighbour?
        do {
            try perform(.getNeighbour(address, device: device)) {
                found = found ?? Neighbour($0)
            }
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory: break  // There is no entry.
            case .operationNotSupportedByDevice: break  // ENODEV: it is gone.
            default: throw error
            }
        }
        return found ?? Neighbour(state: .none)
    }
}

extension NetlinkRequest {
    static func getNeighbour(_ address: IPAddress, device: Int32) -> NetlinkRequest {
        NetlinkRequest(
            RTM_GETNEIGH, flags: NLM_F_ACK, operation: "look up neighbour \(address) on",
            object: "device #\(device)"
        ) { message in
            var header = ndmsg()
            header.ndm_family = UInt8(address.bitWidth == 32 ? AF_INET : AF_INET6)
            header.ndm_ifindex = device
            message.put(header: header)
            message.put(Int(NDA_DST), bytes: address.octets)
        }
    }
}

extension Neighbour {
    /// Reads an RTM_NEWNEIGH message; nil when it is another kind of message.
    fileprivate init?(_ message: NetlinkMessage) {
        guard message.type == RTM_NEWNEIGH, let header = message.header(ndmsg.self) else {
            return nil
        }
        // One bit each, and one set at a time.
        state =
            switch Int32(header.ndm_state) {
            case NUD_INCOMPLETE: .incomplete
            case NUD_REACHABLE: .reachable
            case NUD_STALE: .stale
            case NUD_DELAY: .delay
            case NUD_PROBE: .probe
            case NUD_FAILED: .failed
            case NUD_NOARP: .unasked
            case NUD_PERMANENT: .permanent
            default: .none
            }
        for attribute in message.attributes(after: ndmsg.self)
        where attribute.type == Int(NDA_LLADDR) && attribute.payload.count == 6 {
            address = attribute.payload.baseAddress.map { MACAddress($0) }
        }
    }
}
