// A TAP device: a network device of the kernel whose other end is a file descriptor. Every read
// and every write is one frame behind a 12-byte virtio_net_hdr_v1 (little-endian), which says what
// of its checksum and segmentation is left to do.
//
// /dev/net/tun makes or opens the device in the network namespace of the *thread* that asks. Opened
// in another, the request for an existing name would make a second device; hence to create and to
// adopt are two requests here, and either refuses what it finds instead of doing the other:
//
// - create: IFF_TUN_EXCL makes the kernel refuse an existing name, without a race;
// - adopt: a device that was free to be adopted is persistent, one that the kernel has just made
//   is not. The latter vanishes again when its descriptor is closed.
//
// Until `setPersistent(true)` a new device lives as long as its descriptor, so whatever fails before
// that leaves nothing behind. An adopted one stays persistent.

import CLinux
import SystemPackage

package final class TAPDevice: Sendable {
    package enum Origin: Sendable {
        /// Make a new device; `TAPError.nameTaken` when one of this name exists.
        case create
        /// Open a persistent one that nobody holds; `TAPError.missing` when there is none.
        case adopt
    }

    package let name: String
    /// The device's index in its namespace.
    package let index: Int32
    /// Non-blocking; owned by this object.
    package let descriptor: FileDescriptor
    /// What the kernel may leave undone in the frames that are read here.
    package let offloads: TAPOffloads

    /// The size of the virtio_net_hdr_v1 before each frame.
    package static let headerByteCount = MemoryLayout<virtio_net_hdr_v1>.size

    /// Opens the device in the calling thread's network namespace: all or nothing.
    package init(_ name: String, _ origin: Origin) throws(TAPError) {
        guard Self.isValid(name) else { throw .invalidName(name) }
        let descriptor = clinux_open_mode(
            "/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            switch Errno.current {
            case .permissionDenied, .notPermitted: throw .driverForbidden
            case let errno: throw .noDriver(errno)
            }
        }
        do {
            try Self.attach(descriptor, name, origin)
            try Self.configureHeader(descriptor)
            offloads = try Self.negotiateOffloads(descriptor, name)
            index = try Self.index(of: name)
        } catch {
            close(descriptor)
            throw error
        }
        self.name = name
        self.descriptor = FileDescriptor(rawValue: descriptor)
    }

    deinit {
        close(descriptor.rawValue)
    }

    /// Whether the device outlives its descriptor. A persistent one can be adopted after a restart.
    package func setPersistent(_ isPersistent: Bool) throws(TAPError) {
        guard
            clinux_ioctl_value(
                descriptor.rawValue, CLINUX_TUNSETPERSIST, isPersistent ? 1 : 0) == 0
        else {
            throw .system(
                operation: isPersistent ? "keep" : "let go of", name: name, errno: .current)
        }
    }

    package var isPersistent: Bool {
        get throws(TAPError) {
            try Self.flags(descriptor.rawValue, name) & IFF_PERSIST != 0
        }
    }

    /// Whether the kernel takes it for a device's name (dev_valid_name).
    package static func isValid(_ name: String) -> Bool {
        (1..<Int(IFNAMSIZ)).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy {
                // '%' is no error to the kernel but a template for a number.
                $0 > UInt8(ascii: " ") && $0 != 0x7F && !"/:%".utf8.contains($0)
            }
    }

    private static func attach(
        _ descriptor: Int32, _ name: String, _ origin: Origin
    ) throws(TAPError) {
        var request = ifreq()
        clinux_ifreq_set_name(&request, name)
        let exclusive = origin == .create ? IFF_TUN_EXCL : 0
        clinux_ifreq_set_flags(&request, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | exclusive)
        var result = clinux_ioctl_pointer(descriptor, CLINUX_TUNSETIFF, &request)
        // The last holder may have closed it already: a child of that process holds a copy of the
        // descriptor from its fork to its exec. 100 ms tell that from a holder that stays.
        for _ in 0..<20 where result != 0 && Errno.current == .resourceBusy && origin == .adopt {
            usleep(5000)
            result = clinux_ioctl_pointer(descriptor, CLINUX_TUNSETIFF, &request)
        }
        guard result == 0 else {
            switch (Errno.current, origin) {
            case (.notPermitted, _): throw .forbidden(name: name)
            case (.resourceBusy, .create): throw .nameTaken(name: name)
            case (.resourceBusy, .adopt): throw .held(name: name)
            // Not a TUN/TAP device at all, a TUN, or one with several queues.
            case (.invalidArgument, .adopt): throw .wrongKind(name: name)
            // A device of another kind is found out later than a TAP of this name.
            case (.invalidArgument, .create) where (try? index(of: name)) != nil:
                throw .nameTaken(name: name)
            case (let errno, _): throw .system(operation: "open", name: name, errno: errno)
            }
        }
        if origin == .adopt, try flags(descriptor, name) & IFF_PERSIST == 0 {
            throw .missing(name: name)
        }
    }

    private static func configureHeader(_ descriptor: Int32) throws(TAPError) {
        var byteCount = Int32(headerByteCount)
        guard clinux_ioctl_pointer(descriptor, CLINUX_TUNSETVNETHDRSZ, &byteCount) == 0 else {
            throw .unsupported(feature: "a 12-byte virtio-net header", errno: .current)
        }
        // Otherwise its fields would be in the host's order, as before virtio 1.0.
        var isLittleEndian: Int32 = 1
        guard clinux_ioctl_pointer(descriptor, CLINUX_TUNSETVNETLE, &isLittleEndian) == 0 else {
            throw .unsupported(feature: "a little-endian virtio-net header", errno: .current)
        }
    }

    private static func negotiateOffloads(
        _ descriptor: Int32, _ name: String
    ) throws(TAPError) -> TAPOffloads {
        for offloads in TAPOffloads.preferences
        where clinux_ioctl_value(descriptor, CLINUX_TUNSETOFFLOAD, UInt(offloads.rawValue)) == 0 {
            return offloads
        }
        throw .system(operation: "set the offloads of", name: name, errno: .current)
    }

    private static func flags(_ descriptor: Int32, _ name: String) throws(TAPError) -> Int32 {
        var request = ifreq()
        guard clinux_ioctl_pointer(descriptor, CLINUX_TUNGETIFF, &request) == 0 else {
            throw .system(operation: "inspect", name: name, errno: .current)
        }
        return clinux_ifreq_flags(&request)
    }

    /// The index of a device of the calling thread's namespace.
    private static func index(of name: String) throws(TAPError) -> Int32 {
        let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(socket) }
        var request = ifreq()
        clinux_ifreq_set_name(&request, name)
        guard clinux_ioctl_pointer(socket, UInt(SIOCGIFINDEX), &request) == 0 else {
            throw .system(operation: "find the index of", name: name, errno: .current)
        }
        return clinux_ifreq_index(&request)
    }
}
