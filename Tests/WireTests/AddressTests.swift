import Testing
import Wire

@Suite("MAC addresses")
struct MACAddressTests {
    @Test(
        "are read in three notations",
        arguments: [
            ("02:00:00:00:00:01", 0x0200_0000_0001),  // the usual one
            ("AA-bb-CC-dd-EE-ff", 0xAABB_CCDD_EEFF),  // IEEE, either case
            ("0200.5e10.0001", 0x0200_5E10_0001),  // Cisco
            ("ff:ff:ff:ff:ff:ff", 0xFFFF_FFFF_FFFF),  // broadcast
        ])
    func parse(text: String, value: UInt64) throws {
        let address = try #require(MACAddress(text))
        #expect(address.rawValue == value)
        #expect(MACAddress(address.description) == address)
    }

    @Test(
        "are refused when malformed",
        arguments: [
            "",
            "02:00:00:00:00",  // five octets
            "02:00:00:00:00:01:02",  // seven octets
            "02:00:00:00:00:1",  // short octet
            "02:00:00:00-00:01",  // mixed separators
            "02:00:00:00:00:0g",  // not a digit
            "02.00.00.00.00.01",  // dots between pairs
            "0200:0000:0001",  // colons between quads
            "020000000001",  // no separators
            "０2:00:00:00:00:0",  // a full-width digit, seventeen UTF-8 bytes
        ])
    func refuse(text: String) {
        #expect(MACAddress(text) == nil)
    }

    @Test("keep 48 bits and print in lower case")
    func mask() {
        #expect(MACAddress(rawValue: 0xFFFF_0A00_0000_00BC).description == "0a:00:00:00:00:bc")
    }

    @Test(
        "know what they are",
        arguments: [
            ("ff:ff:ff:ff:ff:ff", true, true, true, false),  // broadcast
            ("01:00:5e:00:00:01", true, false, false, false),  // IPv4 multicast
            ("02:00:00:00:00:01", false, false, true, false),  // ours
            ("00:1b:21:00:00:01", false, false, false, false),  // a vendor's
            ("01:80:c2:00:00:00", true, false, false, true),  // STP
            ("01:80:c2:00:00:0f", true, false, false, true),  // last reserved
            ("01:80:c2:00:00:10", true, false, false, false),  // first that is not
            ("01:80:c2:00:01:00", true, false, false, false),  // another block
        ])
    func kinds(text: String, multicast: Bool, broadcast: Bool, local: Bool, reserved: Bool) throws {
        let address = try #require(MACAddress(text))
        #expect(address.isMulticast == multicast)
        #expect(address.isBroadcast == broadcast)
        #expect(address.isLocallyAdministered == local)
        #expect(address.isReserved == reserved)
    }

    @Test("go to memory and back in network order")
    func memory() throws {
        let address = try #require(MACAddress("02:11:22:33:44:55"))
        var bytes: [UInt8] = [9, 9, 9, 9, 9, 9, 9, 9]
        bytes.withUnsafeMutableBytes { address.store(to: $0.baseAddress! + 1) }
        #expect(bytes == [9, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 9])
        #expect(bytes.withUnsafeBytes { MACAddress($0.baseAddress! + 1) } == address)
        let whole = MACAddress(bytes.span.bytes.extracting(1..<7))
        let short = MACAddress(bytes.span.bytes.extracting(1..<6))
        #expect(whole == address)
        #expect(short == nil)
    }
}

@Suite("VLAN identifiers and tags")
struct VLANTests {
    @Test(
        "run from 1 to 4094",
        arguments: [
            (-1, false), (0, false), (1, true), (4094, true), (4095, false), (65537, false),
        ])
    func range(number: Int, valid: Bool) {
        #expect((VLANID(number) != nil) == valid)
        #expect((VLANID("\(number)") != nil) == valid)
    }

    @Test("are not read from anything but plain digits", arguments: ["", "+1", " 1", "010", "0x1"])
    func refuse(text: String) {
        #expect(VLANID(text) == nil)
    }

    @Test("take PCP, DEI and VID apart")
    func tci() throws {
        let tag = VLANTag(tci: 0xB00A)
        #expect(tag.priority == 5)
        #expect(tag.isDropEligible)
        #expect(tag.id == VLANID(10))
        #expect(VLANTag(id: try #require(VLANID(10)), priority: 5, isDropEligible: true) == tag)
        #expect(tag.description == "vlan 10 pcp 5 dei")
        #expect(VLANTag(tci: 0x6000).id == nil)
        #expect(VLANTag(tci: 0x6000).isPriorityTag)
        #expect(VLANTag(tci: 0x0FFF).id == nil)
        var bytes: [UInt8] = [0, 0, 0, 0]
        bytes.withUnsafeMutableBytes { tag.store(to: $0.baseAddress!) }
        #expect(bytes == [0x81, 0x00, 0xB0, 0x0A])
    }
}

@Suite("IP addresses")
struct IPAddressTests {
    @Test(
        "of version 4 are four plain decimal octets",
        arguments: [
            ("10.10.0.1", 0x0A0A_0001), ("0.0.0.0", 0), ("255.255.255.255", 0xFFFF_FFFF),
        ])
    func parseIPv4(text: String, value: UInt32) throws {
        let address = try #require(IPv4Address(text))
        #expect(address.rawValue == value)
        #expect(address.description == text)
    }

    @Test(
        "of version 4 are refused when malformed",
        arguments: [
            "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2..4", "1.2.3.4 ", "01.2.3.4", "1.2.3.+4",
            "1.2.3.4294967297",
        ])
    func refuseIPv4(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test(
        "of version 6 print as RFC 5952 says",
        arguments: [
            ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),  // lower case, no leading zeros
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  // one zero group is not compressed
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  // the longest run
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),  // the first of equals
            ("::", "::"),
            ("::1", "::1"),
            ("fe80::", "fe80::"),
            ("1::2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),  // `::` for a single group on input
            ("0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"),  // at the start
            ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),  // at the end
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),  // IPv4-mapped
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),  // dotted tail on input
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ])
    func printIPv6(text: String, canonical: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == canonical)
        #expect(IPv6Address(canonical) == address)
    }

    @Test(
        "of version 6 are refused when malformed",
        arguments: [
            "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::g",
            "1:2:3:4:5:6:7::8:9", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "fe80::1%eth0", "::1.2.3",
            "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "1:::2",
        ])
    func refuseIPv6(text: String) {
        #expect(IPv6Address(text) == nil)
    }

    @Test(
        "of interfaces keep their host bits",
        arguments: [
            ("10.10.0.1/24", "10.10.0.0"), ("10.10.0.1/0", "0.0.0.0"),
            ("10.10.0.1/32", "10.10.0.1"),
            ("2001:db8:1:2:ff::9/64", "2001:db8:1:2::"), ("2001:db8::9/0", "::"),
            ("2001:db8:1:2:ff::9/72", "2001:db8:1:2::"), ("2001:db8::9/128", "2001:db8::9"),
        ])
    func interfaceAddress(text: String, network: String) throws {
        let address = try #require(InterfaceAddress(text))
        #expect(address.description == text)
        #expect(address.network.description == network)
        #expect(address.contains(address.address))
    }

    @Test(
        "of interfaces are refused when malformed",
        arguments: [
            "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/024", "::1/129",
            "10.0.0.1/24/24", "/24",
        ])
    func refuseInterfaceAddress(text: String) {
        #expect(InterfaceAddress(text) == nil)
    }

    @Test("of interfaces do not contain the other version")
    func containment() throws {
        let lab = try #require(InterfaceAddress("10.10.0.1/24"))
        #expect(lab.contains(try #require(IPAddress("10.10.0.200"))))
        #expect(!lab.contains(try #require(IPAddress("10.10.1.1"))))
        #expect(!lab.contains(try #require(IPAddress("::ffff:10.10.0.1"))))
    }
}
