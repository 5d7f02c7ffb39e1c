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
        try attachFilter(socket, run: run, kind: kind, copying: ReceiveRing.copied)
        try bindPacketSocket(socket, index: index, etherType: TestFrame.etherType)
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

/// Lets through only the test frames of this run and kind, and their first `copying` bytes.
func attachFilter(
    _ socket: Int32, run: UInt32, kind: TestFrame.Kind, copying: UInt32
) throws(GeneratorError) {
    func load(_ size: Int32, _ offset: Int) -> sock_filter {
        sock_filter(code: UInt16(BPF_LD | size | BPF_ABS), jt: 0, jf: 0, k: UInt32(offset))
    }
    func rejectUnless(_ value: UInt32, jump: UInt8) -> sock_filter {
        sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: 0, jf: jump, k: value)
    }
    func result(_ value: UInt32) -> sock_filter {
        sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: value)
    }
    var program = [
        load(BPF_W, TestFrame.runOffset), rejectUnless(run, jump: 3),
        load(BPF_B, TestFrame.kindOffset), rejectUnless(UInt32(kind.rawValue), jump: 1),
        result(copying), result(0),
    ]
    let attached = program.withUnsafeMutableBufferPointer { instructions in
        var filter = sock_fprog(
            len: UInt16(instructions.count), filter: instructions.baseAddress)
        return setsockopt(
            socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
            socklen_t(MemoryLayout<sock_fprog>.size))
    }
    try check(attached, "attach a filter to a packet socket")
}
