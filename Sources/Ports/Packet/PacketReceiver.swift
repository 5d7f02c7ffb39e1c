import CLinux
import Dataplane
import Glibc
import Synchronization

/// The receiving half of a ``PacketPort``: from the ring, and from the socket's queue what is too
/// long for it. The owning worker's alone.
final class PacketReceiver: @unchecked Sendable {
    // @unchecked: constant pointers to memory that only the owning worker touches.

    private struct State {
        /// The slot that the kernel fills next, or has filled and we have not looked at.
        var place = 0
        var borrowedCount = 0
    }

    private let socket: Int32
    private let ring: PacketRing
    private let state: UnsafeMutablePointer<State>
    /// Slots that are lent to the burst.
    private let borrowed: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let messages: UnsafeMutablePointer<mmsghdr>
    private let pieces: UnsafeMutablePointer<iovec>
    /// Frames that came cut off.
    private let lost = Atomic<UInt64>(0)

    /// Bytes of a tag, which is put back between the addresses and what follows them.
    private static let tag = 4
    private static let addresses = 12
    /// A frame up to this length is copied out of its slot whole.
    private static let wholeCopy = 512
    /// Failures of a receive call in a row that are not a frame's fault.
    private static let attemptLimit = 4

    init(socket: Int32, ring: PacketRing) {
        self.socket = socket
        self.ring = ring
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        borrowed = .allocate(capacity: Burst.capacity)
        messages = .allocate(capacity: Burst.capacity)
        pieces = .allocate(capacity: 2 * Burst.capacity)
        for place in 0..<Burst.capacity {
            var message = mmsghdr()
            message.msg_hdr.msg_iov = pieces + 2 * place
            (messages + place).initialize(to: message)
        }
    }

    deinit {
        state.deallocate()
        borrowed.deallocate()
        messages.deallocate()
        pieces.deallocate()
    }

    /// Whether the kernel has handed over a slot that was not looked at.
    @inline(__always)
    var hasFrame: Bool { Self.isOurs(clinux_packet_status(ring.slot(state.pointee.place))) }

    /// Frames that came cut off, since the port was made. Any thread may ask.
    var lostCount: UInt64 { lost.load(ordering: .relaxed) }

    func receive(into burst: inout Burst) -> ReceiveOutcome {
        var place = state.pointee.place
        defer { state.pointee.place = place }
        while !burst.isFull {
            let slot = ring.slot(place)
            let status = clinux_packet_status(slot)
            guard Self.isOurs(status) else { return .drained }
            let header = slot.load(as: tpacket2_hdr.self)
            if header.tp_snaplen == header.tp_len {
                take(slot, header, status, into: &burst)
                place = PacketRing.next(place)
            } else if status & UInt32(TP_STATUS_COPY) != 0 {
                receiveQueued(from: &place, into: &burst)
            } else {
                // The queue was full.
                lose(slot)
                place = PacketRing.next(place)
            }
        }
        return .more
    }

    /// Gives the lent slots back.
    @inline(__always)
    func release() {
        let count = state.pointee.borrowedCount
        guard count > 0 else { return }
        for place in 0..<count { clinux_packet_release(borrowed[place]) }
        state.pointee.borrowedCount = 0
    }

    @inline(__always)
    private static func isOurs(_ status: UInt32) -> Bool {
        status & UInt32(TP_STATUS_USER) != 0
    }

    private func lose(_ slot: UnsafeMutableRawPointer) {
        lost.wrappingAdd(1, ordering: .relaxed)
        clinux_packet_release(slot)
    }

    // MARK: Frames in the ring

    /// Appends the frame of a slot: a short one is copied, of a long one the head.
    @inline(__always)
    private func take(
        _ slot: UnsafeMutableRawPointer, _ header: tpacket2_hdr, _ status: UInt32,
        into burst: inout Burst
    ) {
        let byteCount = Int(header.tp_snaplen)
        let bytes = slot + Int(header.tp_mac)
        guard Int(header.tp_mac) + byteCount <= PacketRing.slotByteCount,
            byteCount >= Self.addresses
        else {
            lose(slot)
            return
        }
        var offload = Offload(wire: bytes - PacketRing.vnetHeader)
        let target = burst.nextBytes
        let head = byteCount <= Self.wholeCopy ? byteCount : SlotSize.borrowedHead - Self.tag
        var inserted = 0
        if status & UInt32(TP_STATUS_VLAN_VALID) != 0 {
            inserted = Self.tag
            target.copyMemory(from: bytes, byteCount: Self.addresses)
            Self.writeTag(header, status, to: target + Self.addresses)
            (target + (Self.addresses + Self.tag)).copyMemory(
                from: bytes + Self.addresses, byteCount: head - Self.addresses)
            offload.shift(by: Self.tag)
        } else {
            target.copyMemory(from: bytes, byteCount: head)
        }
        guard head < byteCount else {
            clinux_packet_release(slot)
            burst.append(byteCount: byteCount + inserted, offload: offload)
            return
        }
        burst.nextSegments[0] = FrameSegment(
            bytes: UnsafeRawPointer(bytes + head), byteCount: byteCount - head)
        borrowed[state.pointee.borrowedCount] = slot
        state.pointee.borrowedCount &+= 1
        burst.append(
            headByteCount: head + inserted, segmentCount: 1, byteCount: byteCount + inserted,
            offload: offload)
    }

    /// The tag that the kernel or the device took off a frame (IEEE 802.1Q-2022 §9.6), with its TPID:
    /// 0x8100 where the kernel does not say, as before Linux 3.14.
    @inline(__always)
    private static func writeTag(
        _ header: tpacket2_hdr, _ status: UInt32, to target: UnsafeMutableRawPointer
    ) {
        let tpid =
            status & UInt32(TP_STATUS_VLAN_TPID_VALID) != 0
            ? header.tp_vlan_tpid : UInt16(ETH_P_8021Q)
        target.storeBytes(of: tpid.bigEndian, as: UInt16.self)
        target.storeBytes(of: header.tp_vlan_tci.bigEndian, toByteOffset: 2, as: UInt16.self)
    }

    // MARK: Frames in the queue

    /// Receives the frames of a run of slots that say that theirs is in the socket's queue, straight
    /// into the burst.
    private func receiveQueued(from place: inout Int, into burst: inout Burst) {
        let targets = burst.emptySlots
        var count = 0
        var position = place
        while count < targets.count {
            let slot = ring.slot(position)
            let status = clinux_packet_status(slot)
            guard Self.isOurs(status), status & UInt32(TP_STATUS_COPY) != 0 else { break }
            prepare(
                count, at: targets[count] + SlotSize.headroom,
                isTagged: status & UInt32(TP_STATUS_VLAN_VALID) != 0)
            count += 1
            position = PacketRing.next(position)
        }
        let received = receiveMessages(count)
        guard received > 0 else {
            // The kernel could not describe the first frame and dropped it, or has none: its slot
            // is done with.
            lose(ring.slot(place))
            place = PacketRing.next(place)
            return
        }
        for index in 0..<received {
            let slot = ring.slot(place)
            let isIntact = append(index, slot, at: targets[index] + SlotSize.headroom, to: &burst)
            clinux_packet_release(slot)
            place = PacketRing.next(place)
            if !isIntact { lost.wrappingAdd(1, ordering: .relaxed) }
        }
    }

    /// How many messages came, at most `count`; 0 for none, or when the first was dropped.
    private func receiveMessages(_ count: Int) -> Int {
        for _ in 0..<Self.attemptLimit {
            let received = clinux_recvmmsg(socket, messages, UInt32(count), Int32(MSG_DONTWAIT))
            if received > 0 { return Int(received) }
            // EINVAL: a super-frame of a kind that a vnet header has no name for. Anything else,
            // such as ENETDOWN, was left at the socket and says nothing of a frame.
            if errno == EAGAIN || errno == EINVAL { return 0 }
        }
        return 0
    }

    private func prepare(_ index: Int, at target: UnsafeMutableRawPointer, isTagged: Bool) {
        let start = target - PacketRing.vnetHeader
        let first = pieces + 2 * index
        if isTagged {
            let addressesEnd = target + Self.addresses
            first[0] = iovec(iov_base: start, iov_len: PacketRing.vnetHeader + Self.addresses)
            first[1] = iovec(
                iov_base: addressesEnd + Self.tag,
                iov_len: SlotSize.maximumFrame - Self.addresses - Self.tag)
        } else {
            first[0] = iovec(
                iov_base: start, iov_len: PacketRing.vnetHeader + SlotSize.maximumFrame)
        }
        messages[index].msg_hdr.msg_iovlen = isTagged ? 2 : 1
    }

    /// Appends message `index`, which was received for `slot`; false when it is not what the slot
    /// says, or longer than a frame can be.
    private func append(
        _ index: Int, _ slot: UnsafeMutableRawPointer, at bytes: UnsafeMutableRawPointer,
        to burst: inout Burst
    ) -> Bool {
        let header = slot.load(as: tpacket2_hdr.self)
        let message = messages[index]
        guard message.msg_hdr.msg_flags & Int32(MSG_TRUNC) == 0,
            Int(message.msg_len) == PacketRing.vnetHeader + Int(header.tp_len)
        else { return false }
        var offload = Offload(wire: bytes - PacketRing.vnetHeader)
        var byteCount = Int(header.tp_len)
        if message.msg_hdr.msg_iovlen == 2 {
            Self.writeTag(header, header.tp_status, to: bytes + Self.addresses)
            byteCount += Self.tag
            offload.shift(by: Self.tag)
        }
        // A frame before this one was lost.
        if burst.nextBytes != bytes {
            burst.nextBytes.copyMemory(from: bytes, byteCount: byteCount)
        }
        burst.append(byteCount: byteCount, offload: offload)
        return true
    }
}
