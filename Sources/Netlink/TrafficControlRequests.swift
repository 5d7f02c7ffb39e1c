import CLinux
import CMnl

/// The traffic control requests that a guard is made of where there is no nf_tables
/// (linux/pkt_cls.h): a classic BPF filter on each side of a `clsact` queueing discipline, whose
/// verdict is its return value.
extension NetlinkRequest {
    /// The side of a `clsact` that a filter is on.
    enum Direction: UInt32, CaseIterable {
        case ingress = 0xFFF2  // TC_H_MIN_INGRESS
        case egress = 0xFFF3  // TC_H_MIN_EGRESS

        /// TC_H_CLSACT's major number with it.
        fileprivate var parent: UInt32 { 0xFFFF_0000 | rawValue }
    }

    /// Before filters that others are likely to have; a number that nobody else is likely to choose.
    private static let priority: UInt32 = 0x0D1E

    private static func header(
        _ index: Int32, parent: UInt32, handle: UInt32, info: UInt32 = 0
    ) -> tcmsg {
        var header = tcmsg()
        header.tcm_ifindex = index
        header.tcm_handle = handle
        header.tcm_parent = parent
        header.tcm_info = info
        return header
    }

    private static func filterHeader(
        _ index: Int32, _ direction: Direction, handle: UInt32
    ) -> tcmsg {
        header(
            index, parent: direction.parent, handle: handle,
            info: priority << 16 | UInt32(UInt16(ETH_P_ALL).bigEndian))
    }

    static func createClassifierQueue(on index: Int32) -> NetlinkRequest {
        NetlinkRequest(
            RTM_NEWQDISC, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, operation: "add clsact to",
            object: "device #\(index)"
        ) { message in
            message.put(header: header(index, parent: 0xFFFF_FFF1, handle: 0xFFFF_0000))
            message.put(TCA_KIND, name: "clsact")
        }
    }

    static func deleteClassifierQueue(on index: Int32) -> NetlinkRequest {
        NetlinkRequest(
            RTM_DELQDISC, flags: NLM_F_ACK, operation: "remove clsact from",
            object: "device #\(index)"
        ) { message in
            message.put(header: header(index, parent: 0xFFFF_FFF1, handle: 0xFFFF_0000))
        }
    }

    /// A filter that drops what does not bear the mark; nil: everything.
    static func createDropFilter(
        on index: Int32, _ direction: Direction, handle: UInt32, sparing mark: UInt32?
    ) -> NetlinkRequest {
        NetlinkRequest(
            RTM_NEWTFILTER, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
            operation: "keep the host's stack from", object: "device #\(index)"
        ) { message in
            message.put(header: filterHeader(index, direction, handle: handle))
            message.put(TCA_KIND, name: "bpf")
            let program = dropProgram(sparing: mark)
            message.nest(TCA_OPTIONS) { message in
                message.put(TCA_BPF_OPS_LEN, bytes: [UInt8(program.count), 0])
                message.put(
                    TCA_BPF_OPS, bytes: program.withUnsafeBytes { Array($0) })
                message.put(TCA_BPF_FLAGS, UInt32(TCA_BPF_FLAG_ACT_DIRECT))
            }
        }
    }

    static func deleteDropFilter(
        on index: Int32, _ direction: Direction, handle: UInt32
    ) -> NetlinkRequest {
        NetlinkRequest(
            RTM_DELTFILTER, flags: NLM_F_ACK, operation: "remove the guard of",
            object: "device #\(index)"
        ) { message in
            message.put(header: filterHeader(index, direction, handle: handle))
            message.put(TCA_KIND, name: "bpf")
        }
    }

    static func listFilters(on index: Int32, _ direction: Direction) -> NetlinkRequest {
        NetlinkRequest(
            RTM_GETTFILTER, flags: NLM_F_DUMP, operation: "list filters of",
            object: "device #\(index)"
        ) { $0.put(header: header(index, parent: direction.parent, handle: 0)) }
    }

    private static func dropProgram(sparing mark: UInt32?) -> [sock_filter] {
        let drop = sock_filter(
            code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: UInt32(TC_ACT_SHOT))
        guard let mark else { return [drop] }
        return [
            sock_filter(
                code: UInt16(BPF_LD | BPF_W | BPF_ABS), jt: 0, jf: 0,
                k: UInt32(bitPattern: SKF_AD_OFF + SKF_AD_MARK)),
            sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: 0, jf: 1, k: mark),
            // On to the operator's own filters.
            sock_filter(
                code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0,
                k: UInt32(bitPattern: TC_ACT_UNSPEC)),
            drop,
        ]
    }
}
