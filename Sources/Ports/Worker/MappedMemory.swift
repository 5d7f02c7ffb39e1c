import CLinux
import Dataplane
import Glibc

/// Memory that the kernel supplies page by page on first use: a large, sparsely used table costs
/// only what is touched. One that will be full is better made resident at once, in huge pages where
/// the kernel has them: no frame waits for a page fault, and a look-up at random misses the TLB less.
package struct MappedMemory: ZeroedMemory {
    package init() {}

    package func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let memory = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            fatalError("out of memory: mmap of \(byteCount) bytes failed: errno \(errno)")
        }
        return memory
    }

    package func makeResident(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        // Wishes: a kernel that refuses goes on with small pages, and with pages on first use.
        madvise(memory, byteCount, MADV_HUGEPAGE)
        madvise(memory, byteCount, CLINUX_MADV_POPULATE_WRITE)
    }

    package func release(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        munmap(memory, byteCount)
    }
}
