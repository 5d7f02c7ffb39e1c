import CLinux
import Dataplane
import Glibc

/// Memory that the kernel supplies page by page on first use: a large, sparsely used table costs
/// only what is touched. From 2 MiB on the kernel is asked for huge pages, and then by 2 MiB: a table
/// that is looked up at random misses the TLB less, and comes into use with fewer page faults.
package struct MappedMemory: ZeroedMemory {
    package init() {}

    package func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let memory = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            fatalError("out of memory: mmap of \(byteCount) bytes failed: errno \(errno)")
        }
        // A wish: a kernel without them goes on with small pages.
        if byteCount >= MappedMemory.hugePage { madvise(memory, byteCount, MADV_HUGEPAGE) }
        return memory
    }

    private static let hugePage = 2 << 20

    package func release(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        munmap(memory, byteCount)
    }
}
