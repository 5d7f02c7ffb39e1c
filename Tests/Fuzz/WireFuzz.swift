// Any bytes as a frame, as header views and as text: nothing may trap, and what parses must agree
// with itself.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: data, count: byteCount)
    readViews(bytes.bytes)
    // No address is longer as text.
    if byteCount <= 48 { readText(bytes) }
    // Strings are slow; one input in eight is put into words.
    var sum = InternetChecksum()
    sum.add(bytes)
    if sum.value & 7 == 0 {
        let description = FrameDescription(bytes.bytes)
        precondition(!description.summary.isEmpty && !description.lines.isEmpty)
    }
    return 0
}

/// Every view at the start of the bytes, and at the place where a frame has it.
private func readViews(_ bytes: RawSpan) {
    if let ethernet = EthernetView(bytes) {
        consume(ethernet.destination.rawValue ^ ethernet.source.rawValue)
        consume(UInt64(ethernet.tag?.tci ?? 0) ^ UInt64(ethernet.etherType.rawValue))
        precondition(ethernet.headerByteCount + ethernet.payload.byteCount == bytes.byteCount)
        readPacket(ethernet.payload)
        let claims = StationClaim.parse(bytes)
        precondition(claims.count <= StationClaim.limit)
        for claim in claims {
            precondition(!claim.station.isMulticast && !claim.station.isZero)
            precondition(claim.address != nil || claim.hostName != nil)
            precondition((claim.hostName?.utf8.count ?? 1) <= 63)
        }
    }
    readPacket(bytes)
    readTransport(bytes)
    readOverlay(bytes)
    var sum = InternetChecksum()
    sum.add(bytes)
    // The sum of everything with its own checksum is zero.
    sum.add(sum.value)
    precondition(sum.value == 0)
}

private func readPacket(_ bytes: RawSpan) {
    if let arp = ARPView(bytes) {
        consume(arp.senderMAC.rawValue ^ arp.targetMAC.rawValue ^ UInt64(arp.targetIP.rawValue))
        consume(UInt64(arp.operation) ^ UInt64(arp.senderIP.rawValue))
    }
    if let ip = IPv4View(bytes) {
        consume(UInt64(ip.source.rawValue) ^ UInt64(ip.destination.rawValue))
        consume(UInt64(ip.identification) ^ UInt64(ip.timeToLive) ^ UInt64(ip.trafficClass))
        consume(UInt64(ip.fragmentOffset) ^ (ip.hasValidHeaderChecksum ? 1 : 0))
        precondition(ip.headerByteCount + ip.payload.byteCount <= bytes.byteCount)
        precondition(ip.isFragment == (ip.hasMoreFragments || ip.fragmentOffset > 0))
        readTransport(ip.payload)
    }
    if let ip = IPv6View(bytes) {
        consume(ip.source.high ^ ip.destination.low ^ UInt64(ip.flowLabel))
        precondition(40 + ip.payload.byteCount <= bytes.byteCount)
        if let transport = ip.transport() {
            precondition((40...bytes.byteCount).contains(transport.offset))
            precondition(transport.isFragment || !transport.isLaterFragment)
            readTransport(bytes.extracting(droppingFirst: transport.offset))
        }
        let text = ip.source.description
        precondition(IPv6Address(text) == ip.source)
    }
}

private func readTransport(_ bytes: RawSpan) {
    if let tcp = TCPView(bytes) {
        consume(UInt64(tcp.sequenceNumber) ^ UInt64(tcp.acknowledgmentNumber))
        consume(UInt64(tcp.window) ^ UInt64(tcp.flags.rawValue) ^ UInt64(tcp.checksum))
        precondition(tcp.headerByteCount + tcp.payload.byteCount == bytes.byteCount)
    }
    if let udp = UDPView(bytes) {
        consume(UInt64(udp.sourcePort) ^ UInt64(udp.destinationPort) ^ UInt64(udp.checksum))
        precondition(8 + udp.payload.byteCount <= bytes.byteCount)
    }
    if let icmp = ICMPView(bytes) {
        consume(UInt64(icmp.type) ^ UInt64(icmp.code) ^ UInt64(icmp.echoSequence))
        precondition(8 + icmp.payload.byteCount == bytes.byteCount)
    }
}

/// The bytes as what is in a datagram between two tunnel ends, and as an inner frame.
private func readOverlay(_ bytes: RawSpan) {
    if let vxlan = VXLANView(bytes) {
        precondition(vxlan.vni <= 0xFF_FFFF && 8 + vxlan.payload.byteCount == bytes.byteCount)
        consume(UInt64(vxlan.vni))
    }
    if let geneve = GeneveView(bytes) {
        precondition(geneve.vni <= 0xFF_FFFF)
        precondition((8...260).contains(geneve.headerByteCount))
        precondition(geneve.headerByteCount + geneve.payload.byteCount == bytes.byteCount)
        precondition(geneve.hasUnknownCriticalOption || !geneve.announcesCriticalOptions)
        consume(UInt64(geneve.vni) ^ UInt64(geneve.protocolType.rawValue))
        consume(geneve.isControl ? 1 : 0)
    }
    if let gre = GREView(bytes) {
        precondition((4...16).contains(gre.headerByteCount))
        precondition(gre.headerByteCount + gre.payload.byteCount == bytes.byteCount)
        precondition((gre.key != nil) == gre.hasKey)
        precondition(!gre.isNVGRE || gre.headerByteCount == 8)
        consume(UInt64(gre.key ?? 0) ^ UInt64(gre.sequenceNumber ?? 0))
        consume(UInt64(gre.flowID ?? 0) ^ UInt64(gre.virtualSubnetID ?? 0))
        consume(gre.verifyChecksum() ? 1 : 0)
    }
    if let control = BFDControl(bytes), !control.isAuthenticated {
        // What was read is written as it was, but for a length that counts more than we know and
        // the control-plane-independent and demand bits.
        var written: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &written) { copy in
            guard let base = copy.baseAddress else { return }
            control.write(to: base)
            precondition(BFDControl(UnsafeRawBufferPointer(copy).bytes) == control)
        }
    }
    if let control = OverlayProbe.parse(bytes) {
        precondition(control.myDiscriminator != 0)
        consume(UInt64(control.myDiscriminator))
    }
}

/// The bytes as text for every type that parses; what parses prints as something that parses to
/// the same.
private func readText(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    roundTrip(MACAddress.self, text)
    roundTrip(VLANID.self, text)
    roundTrip(IPv4Address.self, text)
    roundTrip(IPv6Address.self, text)
    roundTrip(IPAddress.self, text)
    roundTrip(InterfaceAddress.self, text)
    if let address = InterfaceAddress(text) { precondition(address.contains(address.address)) }
}

private func roundTrip<Value: LosslessStringConvertible & Equatable>(
    _ type: Value.Type, _ text: String
) {
    guard let value = Value(text) else { return }
    precondition(Value(value.description) == value)
}

nonisolated(unsafe) private var sink: UInt64 = 0

/// Keeps the optimiser from removing a load.
@inline(never)
private func consume(_ value: UInt64) { sink ^= value }
