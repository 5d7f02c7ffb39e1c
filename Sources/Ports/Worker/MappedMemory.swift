import CLinux
import Dataplane
import Glibc

/// Memory that the kernel supplies page by page on first use: a large, sparsely used table costs
/// only what is touched.
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

    package func release(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        munmap(memory, byteCount)
    }
}
