import CLinux
import Glibc

/// The memory of a packet socket's receive ring (packet(7), PACKET_RX_RING with TPACKET_V2): slots
/// that the kernel fills in turn and gets back in any order.
///
///     slot   tpacket2_hdr, 32 bytes     status word first: whose the slot is
///            …                          an address that is not wanted, and padding
///            vnet header, 10 bytes      right before the frame
///            frame                      at `tp_mac`; `tp_snaplen` bytes of `tp_len`
///
/// The kernel writes the vnet header as a `struct virtio_net_hdr` of 10 bytes right before the frame,
/// even where 12 bytes were asked for: so 10 are asked for.
struct PacketRing: @unchecked Sendable {
    // @unchecked: a constant pointer; what it points to belongs to the owner's worker.

    /// Distance from slot to slot: an odd number of cache lines, so that the slots' first lines, which
    /// both sides look at, do not compete for few L1 sets. Room for a frame of 1652 bytes, an Ethernet
    /// MTU and four tags; longer ones come another way.
    static let slotByteCount = 27 * 64
    /// About as many frames as a TAP's queue holds.
    static let slotCount = 1024
    static let byteCount = slotByteCount * slotCount
    /// Bytes of the vnet header, whose number of buffers is missing.
    static let vnetHeader = 10

    let memory: UnsafeMutableRawPointer

    /// A block has 64 slots, or more where pages are larger, without a gap: as many as make whole
    /// pages.
    private static var request: tpacket_req {
        let pageByteCount = sysconf(Int32(_SC_PAGESIZE))
        let slotsEach = pageByteCount / 64
        var request = tpacket_req()
        request.tp_block_size = UInt32(slotsEach * slotByteCount)
        request.tp_block_nr = UInt32(slotCount / slotsEach)
        request.tp_frame_size = UInt32(slotByteCount)
        request.tp_frame_nr = UInt32(slotCount)
        return request
    }

    /// Makes the socket's ring and maps it.
    init(of socket: Int32, device: String) throws(PacketError) {
        var request = PacketRing.request
        guard
            setsockopt(
                socket, SOL_PACKET, PACKET_RX_RING, &request,
                socklen_t(MemoryLayout<tpacket_req>.size)) == 0
        else {
            guard errno == ENOMEM else {
                throw .system(operation: "make the ring", device: device, errno: errno)
            }
            throw .noMemory(device: device)
        }
        let memory = mmap(
            nil, PacketRing.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socket, 0)
        guard let memory, memory != MAP_FAILED else {
            throw .system(operation: "map the ring", device: device, errno: errno)
        }
        self.memory = memory
    }

    func unmap() { munmap(memory, PacketRing.byteCount) }

    @inline(__always)
    func slot(_ place: Int) -> UnsafeMutableRawPointer {
        memory + place &* PacketRing.slotByteCount
    }

    @inline(__always)
    static func next(_ place: Int) -> Int { (place &+ 1) & (slotCount - 1) }
}
