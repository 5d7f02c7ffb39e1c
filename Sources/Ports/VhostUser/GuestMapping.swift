import CLinux
import Glibc

/// A part of a file that a front-end passed, mapped here: guest memory, the dirty log, the notes of
/// buffers in flight.
///
/// Before and after it lie ``guardByteCount`` bytes that nobody may touch, so that a mistake here is a
/// crash and never another guest's memory. The file may be of huge pages, in which case the mapping
/// begins and ends at theirs. It is left out of core dumps: it is not ours.
///
/// What it decides: whether the file may be mapped. It must be a file of memory or of a local disk,
/// since a page of any other (FUSE, a network file system) can be withheld by whoever serves it, and a
/// worker would wait for it; it must be as large as the part; it must be writable. That it stays as
/// large is ``SharedMemoryGuard``'s business.
final class GuestMapping: SharedMemory {
    static let guardByteCount = 65536

    let bytes: UnsafeMutableRawPointer
    let byteCount: Int

    private let reservation: UnsafeMutableRawPointer
    private let reservationByteCount: Int
    /// Nil only before it is mapped.
    private var memoryGuard: SharedMemoryGuard?
    /// Whose eventfd the guard tells.
    private let owner: AnyObject

    /// - Parameters:
    ///   - fault: an eventfd that is signalled when the file was cut short.
    ///   - owner: what keeps that eventfd open.
    init(
        _ descriptor: Int32, offset: UInt64, byteCount: UInt64, fault: Int32, owner: AnyObject
    ) throws(VhostFault) {
        let page = try GuestMapping.check(descriptor, offset: offset, byteCount: byteCount)
        // From and to whole pages. Nothing overflows: the file has these bytes.
        let start = offset & ~UInt64(page - 1)
        let mapped = (Int(offset - start) + Int(byteCount) + page - 1) & ~(page - 1)
        let edge = max(GuestMapping.guardByteCount, page)
        reservationByteCount = mapped + 2 * edge + page
        guard
            let reserved = mmap(
                nil, reservationByteCount, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), reserved != MAP_FAILED
        else { throw GuestMapping.fault("reserve \(mapped) bytes of addresses for", errno) }
        reservation = reserved
        self.byteCount = Int(byteCount)
        self.owner = owner
        let place = UnsafeMutableRawPointer(
            bitPattern: (UInt(bitPattern: reserved) + UInt(edge + page - 1)) & ~UInt(page - 1))!
        bytes = place + Int(offset - start)
        let memory = mmap(
            place, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, off_t(start))
        guard memory == place else {
            let code = errno
            munmap(reservation, reservationByteCount)
            throw GuestMapping.fault("map", code)
        }
        madvise(place, mapped, MADV_DONTDUMP)
        memoryGuard = SharedMemoryGuard(
            place, byteCount: mapped, pageByteCount: page, fault: fault)
        guard memoryGuard != nil else {
            munmap(reservation, reservationByteCount)
            throw VhostFault("there are more than \(CLINUX_GUARD_LIMIT) regions of guest memory")
        }
    }

    deinit {
        memoryGuard = nil
        munmap(reservation, reservationByteCount)
    }

    /// - Returns: the size of the file's pages.
    private static func check(
        _ descriptor: Int32, offset: UInt64, byteCount: UInt64
    ) throws(VhostFault) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fault("look at", errno) }
        var system = statfs()
        guard status.st_mode & S_IFMT == S_IFREG, fstatfs(descriptor, &system) == 0,
            fileSystems.contains(Int(system.f_type))
        else {
            throw VhostFault(
                "the front-end's memory is no file of memory or of a local disk: share it with "
                    + "'-object memory-backend-memfd,share=on'")
        }
        let size = UInt64(max(status.st_size, 0))
        guard offset <= size, byteCount > 0, byteCount <= size - offset else {
            throw VhostFault(
                "the front-end's memory of \(byteCount) bytes at \(offset) of a file goes beyond "
                    + "that file's end, which is at \(size)")
        }
        return Int(system.f_type) == Int(HUGETLBFS_MAGIC)
            ? Int(system.f_bsize) : Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Files of memory: tmpfs (which memfd_create and /dev/shm are), hugetlbfs, ramfs. Files of local
    /// disks: User-mode Linux has its memory where TMPDIR is, QEMU with memory-backend-file where it
    /// is told to.
    private static let fileSystems: Set<Int> = [
        Int(TMPFS_MAGIC), Int(HUGETLBFS_MAGIC), Int(RAMFS_MAGIC), Int(EXT4_SUPER_MAGIC),
        Int(BTRFS_SUPER_MAGIC), Int(XFS_SUPER_MAGIC), Int(F2FS_SUPER_MAGIC),
        Int(OVERLAYFS_SUPER_MAGIC),
    ]

    private static func fault(_ operation: String, _ code: Int32) -> VhostFault {
        let reason = String(cString: strerror(code))
        guard code == EACCES || code == EPERM else {
            return VhostFault("cannot \(operation) the front-end's memory: \(reason)")
        }
        return VhostFault(
            "the front-end's memory may not be written to (\(reason)): guest memory must be shared, "
                + "with '-object memory-backend-memfd,share=on'")
    }
}
