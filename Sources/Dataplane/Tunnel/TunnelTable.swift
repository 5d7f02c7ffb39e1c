/// What forwarding knows of tunnels: the part of a ``Snapshot`` that only encapsulated frames need.
///
/// Two questions are asked per datagram, whose tunnel it is (by its source address) and which domain
/// it belongs to (by its VNI); both are answered by open addressing at most half full, and the last
/// answer is usually the next.
final class TunnelTable: @unchecked Sendable {
    // @unchecked: everything is constant after init; the pointers are freed in deinit only.

    struct Tunnel {
        var remote: UnderlayAddress
        var number: UInt16
        /// Place of its underlay in ``underlays``.
        var underlay: UInt16
        var encapsulation: Encapsulation
        var clampsMSS: Bool
        var maximumPacketByteCount: UInt32
    }

    struct UnderlayEntry {
        var number: UInt16
        var worker: UInt8
        var local: UnderlayAddress
        var reference: UnderlayReference
        /// Peers of this underlay in ``peers``: where they start, and the mask of their count.
        var firstPeer: Int
        var peerMask: Int
    }

    private struct Peer {
        var address: UnderlayAddress
        /// Place in ``tunnels``; -1 for an empty slot.
        var tunnel: Int32
    }

    private struct VNISlot {
        var vni: UInt32
        /// 0 for an empty slot.
        var domain: UInt16
    }

    let tunnelCount: Int
    let tunnels: UnsafeMutablePointer<Tunnel>
    let underlayCount: Int
    let underlays: UnsafeMutablePointer<UnderlayEntry>
    private let peers: UnsafeMutablePointer<Peer>
    private let vnis: UnsafeMutablePointer<VNISlot>
    private let vniMask: Int

    /// - Precondition: each tunnel's underlay exists, and no underlay has two tunnels to one address;
    ///   VNIs are unique.
    init(_ configuration: DataplaneConfiguration) {
        tunnelCount = configuration.tunnels.count
        tunnels = .allocate(capacity: max(1, tunnelCount))
        underlayCount = configuration.underlays.count
        underlays = .allocate(capacity: max(1, underlayCount))

        var places: [UInt16: Int] = [:]
        var sizes: [Int] = []
        for (place, underlay) in configuration.underlays.enumerated() {
            precondition(places[underlay.number] == nil, "two underlays have one number")
            places[underlay.number] = place
            let count = configuration.tunnels.count { $0.underlay == underlay.number }
            sizes.append(TunnelTable.slotCount(for: count))
        }
        let total = max(1, sizes.reduce(0, +))
        peers = .allocate(capacity: total)
        peers.initialize(
            repeating: Peer(address: UnderlayAddress(high: 0, low: 0), tunnel: -1), count: total)
        var first = 0
        for (place, underlay) in configuration.underlays.enumerated() {
            (underlays + place).initialize(
                to: UnderlayEntry(
                    number: underlay.number, worker: UInt8(underlay.worker), local: underlay.local,
                    reference: UnderlayReference(underlay.underlay), firstPeer: first,
                    peerMask: sizes[place] - 1))
            first += sizes[place]
        }

        let vniCount = configuration.domains.count { $0.vni != 0 }
        let vniSlots = TunnelTable.slotCount(for: vniCount)
        vniMask = vniSlots - 1
        vnis = .allocate(capacity: vniSlots)
        vnis.initialize(repeating: VNISlot(vni: 0, domain: 0), count: vniSlots)
        for domain in configuration.domains where domain.vni != 0 {
            var slot = TunnelTable.hash(domain.vni) & vniMask
            while vnis[slot].domain != 0 {
                precondition(vnis[slot].vni != domain.vni, "two domains have one VNI")
                slot = (slot + 1) & vniMask
            }
            vnis[slot] = VNISlot(vni: domain.vni, domain: domain.number)
        }

        for (index, tunnel) in configuration.tunnels.enumerated() {
            guard let place = places[tunnel.underlay] else {
                preconditionFailure("a tunnel's underlay does not exist")
            }
            (tunnels + index).initialize(
                to: Tunnel(
                    remote: tunnel.remote, number: tunnel.number, underlay: UInt16(place),
                    encapsulation: tunnel.encapsulation, clampsMSS: tunnel.clampsMSS,
                    maximumPacketByteCount: tunnel.maximumPacketByteCount))
            let entry = underlays[place]
            var slot = TunnelTable.hash(tunnel.remote) & entry.peerMask
            while peers[entry.firstPeer + slot].tunnel >= 0 {
                precondition(
                    peers[entry.firstPeer + slot].address != tunnel.remote,
                    "two tunnels of one underlay lead to one address")
                slot = (slot + 1) & entry.peerMask
            }
            peers[entry.firstPeer + slot] = Peer(address: tunnel.remote, tunnel: Int32(index))
        }
    }

    deinit {
        for place in 0..<underlayCount { underlays[place].reference.release() }
        tunnels.deallocate()
        underlays.deallocate()
        peers.deallocate()
        vnis.deallocate()
    }

    /// A power of two that `count` fills by half at most.
    private static func slotCount(for count: Int) -> Int {
        var size = 2
        while size < 2 * count { size *= 2 }
        return size
    }

    @inline(__always)
    private static func hash(_ vni: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(vni) &* 0x9E37_79B9_7F4A_7C15) >> 33)
    }

    @inline(__always)
    private static func hash(_ address: UnderlayAddress) -> Int {
        let mixed = (address.high ^ (address.low &* 0xD6E8_FEB8_6659_FD93)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 33)
    }

    /// The tunnel, as a place in ``tunnels``, of an underlay's peer; nil for a stranger.
    @inline(__always)
    func tunnel(from address: UnderlayAddress, on underlay: UnderlayEntry) -> Int? {
        var slot = TunnelTable.hash(address) & underlay.peerMask
        while true {
            let peer = peers[underlay.firstPeer + slot]
            if peer.tunnel < 0 { return nil }
            if peer.address == address { return Int(peer.tunnel) }
            slot = (slot + 1) & underlay.peerMask
        }
    }

    /// The domain of a VNI; 0 for none.
    @inline(__always)
    func domain(of vni: UInt32) -> UInt16 {
        var slot = TunnelTable.hash(vni) & vniMask
        while true {
            let found = vnis[slot]
            if found.domain == 0 || found.vni == vni { return found.domain }
            slot = (slot + 1) & vniMask
        }
    }

    /// The place of the underlay of that number; nil when there is none.
    func underlay(numbered number: UInt16) -> Int? {
        (0..<underlayCount).first { underlays[$0].number == number }
    }
}
