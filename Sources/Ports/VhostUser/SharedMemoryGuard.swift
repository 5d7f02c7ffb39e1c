import CLinux

/// Keeps the switch alive when a process cuts the file of shared memory short.
///
/// Theory of operation
///
/// A load or a store behind the end of a mapped file is a SIGBUS, and whoever shares the file can move
/// its end at any time: a check before each access would be late. (A seal against it, F_SEAL_SHRINK,
/// is not what all front-ends set.) So the handler of that signal has a table of the mapped ranges. A
/// fault in one of them has a page of zeros put in its place, so that the instruction goes on, and an
/// eventfd is signalled, whose owner takes the port down. A fault elsewhere is handled as if this
/// handler did not exist.
///
/// A system call that is given such memory fails with EFAULT instead, which is an outcome like others.
///
/// The handler is C (clinux.c): it runs between any two instructions of any thread, and takes no lock
/// and allocates nothing. The table has room for 4096 ranges of all ports together; entries are made
/// and removed under a lock, while nobody uses the range.
struct SharedMemoryGuard: ~Copyable {
    private let slot: Int32

    /// - Parameters:
    ///   - pageByteCount: what the range is mapped in: a power of two.
    ///   - fault: an eventfd, which outlives this.
    /// - Returns: nil when there are too many ranges.
    init?(
        _ start: UnsafeMutableRawPointer, byteCount: Int, pageByteCount: Int, fault: Int32
    ) {
        slot = clinux_guard_add(start, byteCount, pageByteCount, fault)
        guard slot >= 0 else { return nil }
    }

    deinit { clinux_guard_remove(slot) }
}
