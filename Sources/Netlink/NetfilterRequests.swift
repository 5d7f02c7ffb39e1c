import CLinux
import CMnl

/// The nf_tables requests that a guard is made of (linux/netfilter/nf_tables.h). Numbers are in network
/// order; tables and chains are of family `netdev`.
extension NetlinkRequest {
    private static func netfilter(
        _ type: nf_tables_msg_types, flags: Int32, operation: String, object: String,
        build: (inout MessageBuilder) -> Void
    ) -> NetlinkRequest {
        NetlinkRequest(
            Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(type.rawValue), flags: NLM_F_ACK | flags,
            operation: operation, object: object
        ) { message in
            var header = nfgenmsg()
            header.nfgen_family = UInt8(CLINUX_NFPROTO_NETDEV)
            message.put(header: header)
            build(&message)
        }
    }

    /// - Parameter isOwned: by the socket that asks: nobody else may alter the table, and it ends with
    ///   that socket (Linux 5.12).
    static func createTable(_ name: String, isOwned: Bool) -> NetlinkRequest {
        netfilter(
            NFT_MSG_NEWTABLE, flags: NLM_F_CREATE | NLM_F_EXCL, operation: "create",
            object: "nf_tables table '\(name)'"
        ) { message in
            message.put(Int(NFTA_TABLE_NAME.rawValue), name: name)
            if isOwned {
                message.put(
                    Int(NFTA_TABLE_FLAGS.rawValue), network: NFT_TABLE_F_OWNER.rawValue)
            }
        }
    }

    static func deleteTable(_ name: String) -> NetlinkRequest {
        netfilter(
            NFT_MSG_DELTABLE, flags: 0, operation: "delete",
            object: "nf_tables table '\(name)'"
        ) { $0.put(Int(NFTA_TABLE_NAME.rawValue), name: name) }
    }

    /// A chain at a device's hook that drops what no rule of it accepts.
    static func createDropChain(
        _ name: String, in table: String, hook: Int32, device: String
    ) -> NetlinkRequest {
        netfilter(
            NFT_MSG_NEWCHAIN, flags: NLM_F_CREATE | NLM_F_EXCL,
            operation: "keep the host's stack from", object: "device '\(device)'"
        ) { message in
            message.put(Int(NFTA_CHAIN_TABLE.rawValue), name: table)
            message.put(Int(NFTA_CHAIN_NAME.rawValue), name: name)
            message.nest(Int(NFTA_CHAIN_HOOK.rawValue)) { message in
                message.put(Int(NFTA_HOOK_HOOKNUM.rawValue), network: UInt32(hook))
                message.put(Int(NFTA_HOOK_PRIORITY.rawValue), network: 0)
                message.put(Int(NFTA_HOOK_DEV.rawValue), name: device)
            }
            message.put(Int(NFTA_CHAIN_POLICY.rawValue), network: UInt32(CLINUX_NF_DROP))
            message.put(Int(NFTA_CHAIN_TYPE.rawValue), name: "filter")
        }
    }

    static func deleteChain(_ name: String, in table: String) -> NetlinkRequest {
        netfilter(
            NFT_MSG_DELCHAIN, flags: 0, operation: "delete",
            object: "nf_tables chain '\(name)' of '\(table)'"
        ) { message in
            message.put(Int(NFTA_CHAIN_TABLE.rawValue), name: table)
            message.put(Int(NFTA_CHAIN_NAME.rawValue), name: name)
        }
    }

    /// `meta mark MARK accept`.
    static func acceptMark(
        _ mark: UInt32, in chain: String, of table: String
    ) -> NetlinkRequest {
        netfilter(
            NFT_MSG_NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND, operation: "add a rule to",
            object: "nf_tables chain '\(chain)' of '\(table)'"
        ) { message in
            message.put(Int(NFTA_RULE_TABLE.rawValue), name: table)
            message.put(Int(NFTA_RULE_CHAIN.rawValue), name: chain)
            message.nest(Int(NFTA_RULE_EXPRESSIONS.rawValue)) { message in
                message.expression("meta") {
                    $0.put(Int(NFTA_META_DREG.rawValue), network: NFT_REG_1.rawValue)
                    $0.put(Int(NFTA_META_KEY.rawValue), network: NFT_META_MARK.rawValue)
                }
                message.expression("cmp") {
                    $0.put(Int(NFTA_CMP_SREG.rawValue), network: NFT_REG_1.rawValue)
                    $0.put(Int(NFTA_CMP_OP.rawValue), network: NFT_CMP_EQ.rawValue)
                    // A mark is compared as the host has it.
                    $0.nest(Int(NFTA_CMP_DATA.rawValue)) {
                        $0.put(Int(NFTA_DATA_VALUE.rawValue), mark)
                    }
                }
                message.expression("immediate") {
                    $0.put(Int(NFTA_IMMEDIATE_DREG.rawValue), network: NFT_REG_VERDICT.rawValue)
                    $0.nest(Int(NFTA_IMMEDIATE_DATA.rawValue)) {
                        $0.nest(Int(NFTA_DATA_VERDICT.rawValue)) {
                            $0.put(
                                Int(NFTA_VERDICT_CODE.rawValue), network: UInt32(CLINUX_NF_ACCEPT))
                        }
                    }
                }
            }
        }
    }
}

extension MessageBuilder {
    /// A number in network order.
    fileprivate mutating func put(_ type: Int, network value: UInt32) {
        put(type, value.bigEndian)
    }

    /// An expression of a rule.
    fileprivate mutating func expression(
        _ name: String, _ build: (inout MessageBuilder) -> Void
    ) {
        nest(Int(NFTA_LIST_ELEM.rawValue)) { message in
            message.put(Int(NFTA_EXPR_NAME.rawValue), name: name)
            message.nest(Int(NFTA_EXPR_DATA.rawValue), build)
        }
    }
}
