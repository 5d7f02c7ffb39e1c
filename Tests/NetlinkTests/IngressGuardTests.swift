import CLinux
import SystemPackage
import TestSupport
import Testing
import Wire

@testable import Netlink

/// A veth in a namespace of its own; the host's stack is at one end, a neighbour at the other.
@Suite(
    "The host's stack and a guarded device", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct IngressGuardTests {
    private static let neighbour: [UInt8] = [2, 0, 0, 0, 0, 2]

    /// `va` is the host's, with an address; frames are exchanged at `vb`.
    private func withVeth(_ body: (NetlinkSocket, Link, FrameSocket) throws -> Void) throws {
        try inFreshNamespace {
            let socket = try NetlinkSocket()
            try socket.createVeth(
                VethEnd("va"), peer: VethEnd("vb", address: MACAddress(rawValue: 0x0200_0000_0002)))
            let link = try #require(try socket.link(.name("va")))
            let peer = try #require(try socket.link(.name("vb")))
            try socket.addAddress(
                try #require(InterfaceAddress("10.0.0.1/24")), to: link.index)
            try socket.setUp(link.index, true)
            try socket.setUp(peer.index, true)
            try body(socket, link, try FrameSocket("vb", etherType: UInt16(ETH_P_ARP)))
        }
    }

    /// Whether the host's stack answers who has its address, soon after the device came up.
    private func answers(_ wire: FrameSocket) -> Bool { soon { answers(wire, within: 100) } }

    private func answers(_ wire: FrameSocket, within milliseconds: Int32) -> Bool {
        wire.send(Self.frame(operation: 1, from: 2, to: 1))
        return wire.receive(within: milliseconds) { $0.count >= 42 && $0[21] == 2 } != nil
    }

    /// An ARP message from the neighbour's address (RFC 826): 10.0.0.`from` about 10.0.0.`to`.
    private static func frame(operation: UInt8, from: UInt8, to: UInt8) -> [UInt8] {
        var frame = [UInt8](repeating: 0xFF, count: 6)
        frame += neighbour
        frame += [8, 6, 0, 1, 8, 0, 6, 4, 0, operation]
        frame += neighbour
        frame += [10, 0, 0, from, 0, 0, 0, 0, 0, 0, 10, 0, 0, to]
        return frame
    }

    /// Those that this kernel and this process have.
    private static let means = IngressGuard.Means.allCases.filter { means in
        var isThere = false
        try? inFreshNamespace {
            isThere = try IngressGuard(instance: "test", candidates: [means]).means == means
        }
        if !isThere { print("SKIPPED: guards made of \(means), which this process may not make") }
        return isThere
    }

    @Test("do not see each other, while packet sockets do", arguments: means)
    func guarded(means: IngressGuard.Means) throws {
        try withVeth { _, link, wire in
            #expect(answers(wire), "unguarded")
            let guardian = try IngressGuard(instance: "test", candidates: [means])
            try guardian.protect(link.index, name: link.name)
            try guardian.protect(link.index, name: link.name)

            let port = try FrameSocket("va", etherType: UInt16(ETH_P_ALL))
            #expect(!answers(wire, within: 100))
            let request = port.receive { $0.count >= 42 && $0[12] == 8 && $0[13] == 6 }
            #expect(request != nil, "a packet socket sees the frame")

            let stranger = try FrameSocket("va")
            let ours = try FrameSocket("va", mark: IngressGuard.mark)
            var frame = Self.frame(operation: 3, from: 1, to: 2)
            stranger.send(frame)
            frame[21] = 4
            #expect(ours.send(frame) == 0)
            let seen = wire.receive { $0.count >= 42 && $0[21] >= 3 }
            #expect(seen?[21] == 4, "of two frames, the marked one only")

            try guardian.release(link.index)
            try guardian.release(link.index)
            #expect(answers(wire), "released")
        }
    }

    @Test("meet again when the guard ends", arguments: means)
    func closed(means: IngressGuard.Means) throws {
        try withVeth { _, link, wire in
            do {
                let guardian = try IngressGuard(instance: "test", candidates: [means])
                try guardian.protect(link.index, name: link.name)
                #expect(!answers(wire, within: 100))
            }
            #expect(answers(wire))
            #expect(try !IngressGuard.removeLeftovers(instance: "test"), "nothing is left")
        }
    }

    @Test("are kept apart by the best means that there is")
    func preference() throws {
        try inFreshNamespace {
            let guardian = try IngressGuard(instance: "test")
            #expect(guardian.means == Self.means.first)
        }
    }

    @Test("meet again when the process ends by a signal: the table is its socket's")
    func killed() throws {
        try withVeth { _, link, wire in
            var socket: NetfilterSocket? = try NetfilterSocket()
            try socket?.perform([
                .createTable("heddle-test", isOwned: true),
                .createDropChain(
                    "c", in: "heddle-test", hook: CLINUX_NF_NETDEV_INGRESS, device: "va"),
            ])
            #expect(!answers(wire, within: 100))
            socket = nil
            #expect(soon { answers(wire, within: 100) })
            #expect(try !IngressGuard.removeLeftovers(instance: "test"))
            _ = link
        }
    }

    @Test("meet again when what an older kernel kept is removed")
    func leftovers() throws {
        try withVeth { socket, link, wire in
            func leave() throws {
                try NetfilterSocket().perform([
                    .createTable("heddle-test", isOwned: false),
                    .createDropChain(
                        "c", in: "heddle-test", hook: CLINUX_NF_NETDEV_INGRESS, device: "va"),
                ])
                #expect(!answers(wire, within: 100))
            }
            try leave()
            #expect(try !IngressGuard.removeLeftovers(instance: "other"))
            #expect(try IngressGuard.removeLeftovers(instance: "test"))
            #expect(answers(wire))
            try leave()
            _ = try IngressGuard(instance: "test", candidates: [.netfilter])
            #expect(answers(wire), "a new guard replaces it")

            // FNV-1a of "test".
            try socket.perform(.createClassifierQueue(on: link.index))
            try socket.perform(
                .createDropFilter(on: link.index, .ingress, handle: 0xAFD0_71E5, sparing: nil))
            #expect(!answers(wire, within: 100))
            #expect(try IngressGuard.removeLeftovers(instance: "test"))
            #expect(answers(wire))
        }
    }

    @Test("cannot be kept apart by two switches of one name")
    func held() throws {
        try inFreshNamespace {
            let first = try IngressGuard(instance: "test", candidates: [.netfilter])
            #expect {
                _ = try IngressGuard(instance: "test", candidates: [.netfilter])
            } throws: { error in
                "\(error)".contains("'heddle-test' belongs to another process")
            }
            #expect(try !IngressGuard.removeLeftovers(instance: "test"))
            first.close()
            _ = try IngressGuard(instance: "test", candidates: [.netfilter])
        }
    }

    @Test(
        "stay apart though another program lets everything pass", .enabled(if: means.contains(.bpf))
    )
    func otherProgram() throws {
        try withVeth { _, link, wire in
            // r0 = TCX_PASS; exit
            let program = clinux_bpf_load_classifier([0xB7, 0x95], 2, "pass")
            let other = clinux_bpf_link_to_device(
                program, link.index, UInt32(CLINUX_BPF_TCX_INGRESS))
            defer { for descriptor in [program, other] { close(descriptor) } }
            #expect(other >= 0)
            #expect(answers(wire))
            let guardian = try IngressGuard(instance: "test")
            try guardian.protect(link.index, name: "va")
            #expect(!answers(wire, within: 100))
        }
    }

    @Test("stay apart when the device gets another name", arguments: means)
    func renamed(means: IngressGuard.Means) throws {
        try withVeth { socket, link, wire in
            let guardian = try IngressGuard(instance: "test", candidates: [means])
            try guardian.protect(link.index, name: "va")
            try socket.rename(link.index, to: "vc")
            try guardian.protect(link.index, name: "vc")
            #expect(!answers(wire, within: 100))
            try guardian.release(link.index)
            #expect(answers(wire))
        }
    }

    @Test("do not mind that the device goes, nor that its name comes again", arguments: means)
    func deviceGone(means: IngressGuard.Means) throws {
        try withVeth { socket, link, _ in
            let guardian = try IngressGuard(instance: "test", candidates: [means])
            try guardian.protect(link.index, name: "va")
            try socket.deleteLink(link.index)
            try guardian.release(link.index)
            try socket.createVeth(VethEnd("va"), peer: VethEnd("vb"))
            let again = try #require(try socket.link(.name("va")))
            try guardian.protect(again.index, name: "va")
            try guardian.release(again.index)
        }
    }
}

@Suite("A guard's requests have the bytes that nf_tables prescribes")
struct NetfilterRequestTests {
    @Test("A batch with a chain that drops, at a device's ingress")
    func chain() throws {
        let transport = RecordingTransport(answers: [
            .success(
                hex(
                    """
                    24 00 00 00  02 00  00 01  02 00 00 00  00 00 00 00  // ERROR, CAPPED, sequence 2
                    00 00 00 00  20 00 00 00  03 0a  05 06  02 00 00 00  00 00 00 00
                    """))
        ])
        try NetfilterSocket(transport: transport).perform([
            .createDropChain("c", in: "t", hook: CLINUX_NF_NETDEV_INGRESS, device: "va")
        ])
        #expect(
            dump(transport.sent[0])
                == dump(
                    hex(
                        """
                        14 00 00 00  10 00  01 00  01 00 00 00  00 00 00 00  // BATCH_BEGIN
                        00 00  00 0a               // nfgenmsg: NFNL_SUBSYS_NFTABLES
                        54 00 00 00  03 0a  05 06  02 00 00 00  00 00 00 00  // NEWCHAIN, CREATE|EXCL
                        05 00  00 00               // nfgenmsg: NFPROTO_NETDEV
                        06 00  01 00  74 00 00 00  // NFTA_CHAIN_TABLE "t"
                        06 00  03 00  63 00 00 00  // NFTA_CHAIN_NAME "c"
                        1c 00  04 80               // NFTA_CHAIN_HOOK
                          08 00  01 00  00 00 00 00  // NFTA_HOOK_HOOKNUM: ingress
                          08 00  02 00  00 00 00 00  // NFTA_HOOK_PRIORITY 0
                          07 00  03 00  76 61 00 00  // NFTA_HOOK_DEV "va"
                        08 00  05 00  00 00 00 00  // NFTA_CHAIN_POLICY: NF_DROP
                        0b 00  07 00  66 69 6c 74 65 72 00 00  // NFTA_CHAIN_TYPE "filter"
                        14 00 00 00  11 00  01 00  03 00 00 00  00 00 00 00  // BATCH_END
                        00 00  00 0a
                        """)))
    }

    @Test("A batch that is refused as a whole, or in part, says so")
    func refused() throws {
        let rows: [(sequence: UInt8, object: String)] = [
            (1, "nf_tables"), (2, "nf_tables table 'a'"), (3, "nf_tables table 'b'"),
        ]
        for (sequence, object) in rows {
            func answer(_ sequence: UInt8, _ error: UInt8) -> [UInt8] {
                var bytes = hex(
                    """
                    24 00 00 00  02 00  00 01  00 00 00 00  00 00 00 00
                    00 00 00 00  20 00 00 00  00 0a  05 00  00 00 00 00  00 00 00 00
                    """)
                bytes[8] = sequence
                if error != 0 { bytes.replaceSubrange(16..<20, with: [error, 255, 255, 255]) }
                return bytes
            }
            let failed = answer(sequence, 0xFF)  // -EPERM
            let answers =
                sequence == 1
                ? failed : [2, 3].flatMap { $0 == sequence ? failed : answer($0, 0) }
            let socket = NetfilterSocket(
                transport: RecordingTransport(answers: [.success(answers)]))
            #expect {
                try socket.perform([.deleteTable("a"), .deleteTable("b")])
            } throws: { error in
                guard case .refused(_, object, .notPermitted, _)? = error as? NetlinkError else {
                    return false
                }
                return true
            }
        }
    }
}
