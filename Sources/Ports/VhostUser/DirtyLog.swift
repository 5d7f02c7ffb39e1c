import Synchronization

/// The bitmap in which a front-end learns which of the guest's pages were written to, while it
/// migrates the guest: one bit for 4 KiB of guest-physical addresses (vhost-user, "Migration").
///
/// The front-end reads and clears it meanwhile, so bits are set atomically. What lies beyond the
/// bitmap is not marked: a guest can name such an address, but there is no memory of it to write to.
///
/// Cost: an atomic OR for each page of a range, none for a page that is marked already.
package final class DirtyLog: @unchecked Sendable {
    // @unchecked: the bitmap is only reached by atomic operations, and outlives this.

    /// VHOST_LOG_PAGE, as a shift.
    private static let pageShift = 12

    private let bits: UnsafeMutablePointer<Atomic<UInt8>>
    private let pageCount: UInt64
    private let owner: AnyObject?

    /// - Parameters:
    ///   - bits: shared with the front-end; bit 0 of the first byte stands for page 0.
    ///   - owner: what keeps them mapped.
    package init(
        _ bits: UnsafeMutableRawPointer, byteCount: Int, keeping owner: AnyObject? = nil
    ) {
        self.bits = bits.assumingMemoryBound(to: Atomic<UInt8>.self)
        pageCount = UInt64(byteCount) * 8
        self.owner = owner
    }

    /// Marks every page of a range of guest-physical addresses.
    @inline(__always)
    package func mark(guestAddress: UInt64, byteCount: Int) {
        guard byteCount > 0 else { return }
        let first = guestAddress >> DirtyLog.pageShift
        let (end, wraps) = guestAddress.addingReportingOverflow(UInt64(byteCount) - 1)
        mark(from: first, through: (wraps ? .max : end) >> DirtyLog.pageShift)
    }

    @inline(__always)
    private func mark(from first: UInt64, through last: UInt64) {
        guard first < pageCount else { return }
        var page = first
        let end = min(last, pageCount - 1)
        while page <= end {
            let mask = UInt8(1) << UInt8(page & 7)
            let byte = bits + Int(page >> 3)
            if byte.pointee.load(ordering: .relaxed) & mask == 0 {
                // Releasing: whoever sees the bit sees what was written to the page before.
                byte.pointee.bitwiseOr(mask, ordering: .releasing)
            }
            page += 1
        }
    }
}
