// A packet socket with a ring shared with the kernel (TPACKET_V3), which sees one kind of test frame.
//
// The kernel copies the first 64 bytes of each frame into the ring, with the time at which it did so,
// and hands the ring over a block at a time: when one is full or 4 ms old. So the receiver wakes up
// some 250 times a second whatever the rate, and takes little from a machine of few cores; latencies
// are not touched by that, for they end at the kernel's time stamp. A filter keeps everything but the
// run's own frames out. 16 MiB hold about 100,000 frames; what the kernel had to drop because the
// receiver was late is counted apart, because it is not the switch's loss.

import CLinux
import Glibc
import Synchronization

final class ReceiveRing {
    private static let blockSize = 1 << 19
    private static let blockCount = 32
    private static let copied: UInt32 = 64

    let socket: Int32
    private let memory: UnsafeMutableRawPointer
    private var nextBlock = 0

    /// Opens it in the calling thread's network namespace.
    init(index: Int32, run: UInt32, kind: TestFrame.Kind) throws(GeneratorError) {
        let socket = try check(
            Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0),
            "open a packet socket")
        do throws(GeneratorError) {
            memory = try ReceiveRing.mapRing(of: socket)
        } catch {
            close(socket)
            throw error
        }
        self.socket = socket
        try TestFrame.receive(
            on: socket, index: index, run: run, kind: kind, copying: ReceiveRing.copied)
    }

    deinit {
        munmap(memory, ReceiveRing.blockSize * ReceiveRing.blockCount)
        close(socket)
    }

    /// Calls `body` with each frame that has arrived, and when, in nanoseconds of the real-time clock.
    @inline(__always)
    func drain(_ body: (_ frame: UnsafeRawPointer, _ time: UInt64) -> Void) {
        while true {
            let block = memory + nextBlock * ReceiveRing.blockSize
            let header = block.assumingMemoryBound(to: tpacket_block_desc.self)
            let status = (block + MemoryLayout<tpacket_block_desc>.offset(of: \.hdr)!)
                .assumingMemoryBound(to: Atomic<UInt32>.self)
            guard status.pointee.load(ordering: .acquiring) & UInt32(TP_STATUS_USER) != 0 else {
                return
            }
            var frame = UnsafeRawPointer(block) + Int(header.pointee.hdr.bh1.offset_to_first_pkt)
            for _ in 0..<header.pointee.hdr.bh1.num_pkts {
                let packet = frame.assumingMemoryBound(to: tpacket3_hdr.self)
                body(
                    frame + Int(packet.pointee.tp_mac),
                    UInt64(packet.pointee.tp_sec) * 1_000_000_000 + UInt64(packet.pointee.tp_nsec))
                frame += Int(packet.pointee.tp_next_offset)
            }
            status.pointee.store(UInt32(TP_STATUS_KERNEL), ordering: .releasing)
            nextBlock = (nextBlock + 1) % ReceiveRing.blockCount
        }
    }

    /// Frames that came while the ring was full, since the last call.
    func dropped() throws(GeneratorError) -> UInt64 {
        var statistics = tpacket_stats_v3()
        var byteCount = socklen_t(MemoryLayout<tpacket_stats_v3>.size)
        try check(
            getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, &statistics, &byteCount),
            "read the statistics of a packet socket")
        return UInt64(statistics.tp_drops)
    }

    private static func mapRing(of socket: Int32) throws(GeneratorError) -> UnsafeMutableRawPointer
    {
        var version = Int32(TPACKET_V3.rawValue)
        try check(
            setsockopt(socket, SOL_PACKET, PACKET_VERSION, &version, 4), "choose TPACKET_V3")
        var request = tpacket_req3()
        request.tp_block_size = UInt32(blockSize)
        request.tp_block_nr = UInt32(blockCount)
        request.tp_frame_size = 2048
        request.tp_frame_nr = UInt32(blockSize * blockCount / 2048)
        request.tp_retire_blk_tov = 4
        try check(
            setsockopt(
                socket, SOL_PACKET, PACKET_RX_RING, &request,
                socklen_t(MemoryLayout<tpacket_req3>.size)), "make a receive ring")
        let memory = mmap(
            nil, blockSize * blockCount, PROT_READ | PROT_WRITE, MAP_SHARED, socket, 0)
        guard let memory, memory != MAP_FAILED else {
            throw .system(operation: "map the receive ring", errno: errno)
        }
        return memory
    }
}
