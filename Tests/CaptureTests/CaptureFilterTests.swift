import Testing

@testable import Capture

@Suite("A capture filter")
struct CaptureFilterTests {
    /// 802.1Q VLAN 10, IPv4, ICMP echo request from 10.0.0.1 to 10.0.0.2, 60 bytes.
    static let taggedPing = octets(
        "ffffffffffff 020000000001",  // Ethernet: broadcast, from 02:00:00:00:00:01
        "8100 000a 0800",  // VLAN 10, IPv4
        "4500001c 00010000 4001f9dd 0a000001 0a000002",  // IPv4, 28 bytes, ICMP
        "0800f7fe 00000001",  // echo request
        "0000000000000000000000000000")

    /// ARP request, 42 bytes.
    static let arp = octets(
        "ffffffffffff 020000000001 0806",  // Ethernet: broadcast, ARP
        "0001 0800 06 04 0001",  // request
        "020000000001 0a000001 000000000000 0a000002")

    @Test(
        "matches frames as libpcap's language says",
        arguments: [
            ("arp", false, true),  // a plain EtherType
            ("vlan 10", true, false),  // the tag is in the frame, where the program looks for it
            ("vlan 11", false, false),  // another VLAN
            ("vlan 10 and icmp", true, false),  // behind the tag
            ("icmp", false, false),  // without `vlan`, libpcap does not look behind a tag
            ("vlan and dst host 10.0.0.2", true, false),  // addresses behind the tag
            ("ether broadcast", true, true),  // both are
            ("not ether broadcast", false, false),  // neither
            ("less 42", false, true),  // by the original length
            ("ether[1000] = 1", false, false),  // beyond the frame: no match, no fault
            ("", true, true),  // nothing asked for
            (" \t\n", true, true),  // blank
        ])
    func matching(expression: String, matchesPing: Bool, matchesARP: Bool) throws {
        let filter = try CaptureFilter(expression)
        #expect(filter.matches(Self.taggedPing) == matchesPing)
        #expect(filter.matches(Self.arp) == matchesARP)
    }

    @Test("nil is everything, the empty frame included")
    func everything() throws {
        let filter = try CaptureFilter(nil)
        #expect(filter.matchesEverything)
        #expect(filter.matches([]))
        #expect(try !CaptureFilter("arp").matches([]))
    }

    @Test("judges a cut frame by its original length and by no byte that is not there")
    func cutFrame() throws {
        let start = Array(Self.arp[..<14])
        #expect(try CaptureFilter("arp and greater 42").matches(start, originalByteCount: 42))
        #expect(try !CaptureFilter("arp[6:2] = 1").matches(start, originalByteCount: 42))
    }

    @Test(
        "refuses what does not compile and quotes libpcap",
        arguments: [
            ("tpc port 80", "syntax error"),  // a typing error
            ("host", "syntax error"),  // unfinished
            ("vlan 5000", "VLAN tag 5000"),  // out of range
            ("inbound", "only a kernel socket knows"),  // no directions in an Ethernet frame
            ("arp or outbound", "only a kernel socket knows"),  // in a part of it
            ("ip broadcast", "netmask"),  // needs a netmask that there is none of
            ("port 99999", "99999"),  // no such port
            ("tcp)(", "syntax error"),  // unbalanced
            ("\"';--\u{1F980}", "syntax error"),  // junk
        ])
    func refusal(expression: String, excerpt: String) throws {
        let error = #expect(throws: CaptureFilterError.self) { try CaptureFilter(expression) }
        guard case .doesNotCompile(let filter, let message)? = error else {
            Issue.record("not refused by libpcap: \(String(describing: error))")
            return
        }
        #expect(filter == expression)
        #expect(message.contains(excerpt), "\(message)")
        #expect("\(error!)".contains(message))
    }

    @Test("refuses hostile text before libpcap sees it")
    func hostile() {
        let long = String(repeating: "arp or ", count: 100_000) + "arp"
        #expect(throws: CaptureFilterError.tooLong(byteCount: 700_003, limit: 4_096)) {
            try CaptureFilter(long)
        }
        #expect(throws: CaptureFilterError.controlCharacter(filter: "arp\0 and", scalar: "\0")) {
            try CaptureFilter("arp\0 and")
        }
        let shown = "\(CaptureFilterError.controlCharacter(filter: "a\u{1b}[2J", scalar: "\u{1b}"))"
        #expect(!shown.contains("\u{1b}"))
    }

    @Test(
        "ends quickly on the worst text of full length",
        arguments: [
            String(repeating: "(", count: 4_096),  // depth of the parser
            String(repeating: "(", count: 2_046) + "arp" + String(repeating: ")", count: 2_046),
            String(repeating: "!", count: 4_093) + "arp",  // depth of negation
            "arp" + String(repeating: "||ip", count: 1_023),  // breadth
            "vlan" + String(repeating: "&&vlan", count: 681),  // changing offsets
            "len=" + String(repeating: "len*", count: 1_000) + "1",  // arithmetic, registers
            "tcp" + String(repeating: "||port 1", count: 511),  // many tests for each term
            "ip6 protochain 6" + String(repeating: "||ip6 protochain 6", count: 200),  // loops
        ])
    func worstCases(expression: String) throws {
        let elapsed = ContinuousClock().measure { _ = try? CaptureFilter(expression) }
        #expect(elapsed < .seconds(5))
    }

    @Test("compiles or refuses any words, and matches any frame without a fault", arguments: 0..<10)
    func randomWords(seed: UInt64) {
        // No words that libpcap would ask the resolver about.
        let words = [
            "arp", "ip", "ip6", "tcp", "udp", "icmp6", "vlan", "mpls", "pppoes", "geneve", "llc",
            "and", "or", "not", "(", ")", "[", "]", "=", "!=", "<", "&", "+", "*", "/", "<<", "-",
            "0", "1", "10", "4294967295", "port", "portrange", "1-65535", "host", "net",
            "10.0.0.0/8", "2001:db8::/32", "mask", "ether", "src", "dst", "proto", "protochain",
            "len", "less", "greater", "broadcast", "multicast", "gateway", "tcp[tcpflags]",
            "ip[0:4]", "ether[12:2]", "udp[8]", "ifname", "wlan", "type", "mgt", "stp", "iso",
        ]
        var random = SplitMix(state: seed)
        var compiled = 0
        for _ in 0..<1_000 {
            let count = Int.random(in: 1...8, using: &random)
            let chosen = (0..<count).map { _ in words.randomElement(using: &random)! }
            guard let filter = try? CaptureFilter(chosen.joined(separator: " ")) else { continue }
            compiled += 1
            var frame = Bool.random(using: &random) ? Self.taggedPing : Self.arp
            for _ in 0..<4 {
                let place = Int.random(in: 0..<frame.count, using: &random)
                frame[place] = UInt8.random(in: 0...255, using: &random)
            }
            _ = filter.matches(Array(frame.prefix(Int.random(in: 0...60, using: &random))))
        }
        #expect(compiled > 20)
    }

    @Test("compiles and matches on many threads at once")
    func threads() async throws {
        let shared = try CaptureFilter("arp")
        await withTaskGroup(of: Bool.self) { group in
            for index in 0..<32 {
                group.addTask {
                    let own = try? CaptureFilter("vlan \(index)")
                    return shared.matches(Self.arp) && !shared.matches(Self.taggedPing)
                        && own?.matches(Self.taggedPing) == (index == 10)
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}

extension CaptureFilter {
    /// As libpcap says, and as a worker must say too.
    fileprivate func matches(_ bytes: [UInt8], originalByteCount: UInt32? = nil) -> Bool {
        let length = originalByteCount ?? UInt32(bytes.count)
        return bytes.withUnsafeBytes { buffer in
            let result = matches(buffer, originalByteCount: length)
            if !matchesEverything {
                let ours = workerProgram?.run(buffer, frameByteCount: Int(length))
                #expect((ours == .match) == result, "\(expression)")
            }
            return result
        }
    }
}
