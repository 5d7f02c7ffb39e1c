import CLinux
import Glibc
import Synchronization

/// The memory of a guest, as a front-end would share it: regions that adjoin for the guest and lie
/// anywhere here.
///
/// Guest addresses are handed out from the start on and never taken back.
package final class VirtioFrontEndMemory: @unchecked Sendable {
    package struct Region: Sendable {
        package var guestAddress: UInt64
        package var frontEndAddress: UInt64
        package var byteCount: Int
        nonisolated(unsafe) package var host: UnsafeMutableRawPointer
        /// Of the memfd that is mapped; -1 for memory of the heap.
        package var descriptor: Int32
    }

    package let regions: [Region]
    private var next: UInt64
    private let end: UInt64

    /// - Parameters:
    ///   - byteCounts: of the regions, multiples of 4096.
    ///   - isShared: whether each is a memfd's, which another process can map.
    package init(_ byteCounts: [Int] = [1 << 24], isShared: Bool = false, at base: UInt64 = 1 << 20)
    {
        var address = base
        regions = byteCounts.map { byteCount in
            defer { address += UInt64(byteCount) }
            var descriptor: Int32 = -1
            if isShared {
                descriptor = memfd_create("guest", UInt32(MFD_CLOEXEC))
                precondition(descriptor >= 0 && ftruncate(descriptor, byteCount) == 0)
            }
            let flags = isShared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS
            let host = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, 0)
            guard let host, host != MAP_FAILED else { preconditionFailure("mmap") }
            return Region(
                guestAddress: address, frontEndAddress: address + 0x7000_0000_0000,
                byteCount: byteCount, host: host, descriptor: descriptor)
        }
        next = base
        end = address
    }

    deinit {
        for region in regions {
            munmap(region.host, region.byteCount)
            if region.descriptor >= 0 { close(region.descriptor) }
        }
    }

    /// Guest address of new memory.
    package func allocate(_ byteCount: Int, alignment: UInt64 = 16) -> UInt64 {
        let start = (next + alignment - 1) & ~(alignment - 1)
        precondition(start + UInt64(byteCount) <= end, "the guest has no memory left")
        next = start + UInt64(byteCount)
        return start
    }

    /// As ``allocate(_:alignment:)``, all of it in one region.
    package func allocateInOnePiece(
        _ byteCount: Int, alignment: UInt64 = 4096
    ) -> (guest: UInt64, host: UnsafeMutableRawPointer) {
        let start = allocate(byteCount, alignment: alignment)
        let place = region(of: start)
        precondition(
            start + UInt64(byteCount)
                <= regions[place].guestAddress + UInt64(regions[place].byteCount))
        return (start, host(start))
    }

    private func region(of address: UInt64) -> Int {
        guard
            let place = regions.firstIndex(where: {
                address >= $0.guestAddress && address < $0.guestAddress + UInt64($0.byteCount)
            })
        else { preconditionFailure("no guest memory at \(address)") }
        return place
    }

    package func host(_ address: UInt64) -> UnsafeMutableRawPointer {
        let region = regions[region(of: address)]
        return region.host + Int(address - region.guestAddress)
    }

    package func write(_ bytes: [UInt8], at address: UInt64) {
        bytes.withUnsafeBytes { source in
            for (offset, piece) in pieces(address, bytes.count) {
                piece.copyMemory(from: .init(rebasing: source[offset..<offset + piece.count]))
            }
        }
    }

    package func read(_ address: UInt64, _ byteCount: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for (_, piece) in pieces(address, byteCount) { bytes += piece }
        return bytes
    }

    /// A range as it lies in the regions, with each piece's offset in it.
    private func pieces(
        _ address: UInt64, _ byteCount: Int
    ) -> [(offset: Int, bytes: UnsafeMutableRawBufferPointer)] {
        var pieces: [(offset: Int, bytes: UnsafeMutableRawBufferPointer)] = []
        var offset = 0
        while offset < byteCount {
            let region = regions[region(of: address + UInt64(offset))]
            let start = Int(address + UInt64(offset) - region.guestAddress)
            let count = min(byteCount - offset, region.byteCount - start)
            pieces.append((offset, .init(start: region.host + start, count: count)))
            offset += count
        }
        return pieces
    }
}

extension UnsafeMutableRawPointer {
    /// A word that the device reads or writes at the same time, one access of the processor's.
    func shared<Word: AtomicRepresentable>(
        _ offset: Int, _ type: Word.Type
    ) -> UnsafeMutablePointer<Atomic<Word>> {
        (self + offset).assumingMemoryBound(to: Atomic<Word>.self)
    }
}
