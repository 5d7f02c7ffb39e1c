import CLinux
import ControlAPI
import Glibc
import Netlink

/// What the TAP driver takes, found by making a device that vanishes when it is closed.
enum DoctorTAP {
    private static let name = "hddoctor0"

    /// - Parameters:
    ///   - canMakeDevices: Whether there is privilege for it.
    ///   - isInside: Whether the process is in a sandbox already.
    static func checks(canMakeDevices: Bool, isInside: Bool) -> [DoctorCheck] {
        guard canMakeDevices else {
            return [
                DoctorCheck(
                    name: "TAP offloads", status: .warning,
                    finding: "not looked at: no device can be made",
                    remedy: "run 'sudo heddle doctor'")
            ]
        }
        do {
            return isInside ? try probe() : try NamespaceThread.run(.new) { try probe() }
        } catch {
            return [
                DoctorCheck(
                    name: "TAP", status: .missing, finding: "\(error)",
                    remedy: "see /dev/net/tun and privilege above")
            ]
        }
    }

    private static func probe() throws -> [DoctorCheck] {
        let descriptor = try check(
            clinux_open_mode("/dev/net/tun", O_RDWR | O_CLOEXEC, 0), "open /dev/net/tun")
        defer { close(descriptor) }
        var request = ifreq()
        clinux_ifreq_set_name(&request, name)
        clinux_ifreq_set_flags(&request, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
        try check(
            clinux_ioctl_pointer(descriptor, CLINUX_TUNSETIFF, &request),
            "make a TAP device with a virtio-net header")
        return [headerCheck(descriptor), offloadCheck(descriptor), alternativeNameCheck()]
    }

    /// The header of 12 bytes counts merged buffers too (virtio 1.0).
    private static func headerCheck(_ descriptor: Int32) -> DoctorCheck {
        var byteCount: Int32 = 12
        guard clinux_ioctl_pointer(descriptor, CLINUX_TUNSETVNETHDRSZ, &byteCount) == 0 else {
            return DoctorCheck(
                name: "TAP header", status: .missing,
                finding: "no virtio-net header of 12 bytes: \(errorText(errno))",
                remedy: "use a kernel with the upstream tun driver")
        }
        return DoctorCheck(
            name: "TAP header", status: .ok, finding: "virtio-net header of 12 bytes")
    }

    private static func offloadCheck(_ descriptor: Int32) -> DoctorCheck {
        let checksum = UInt32(TUN_F_CSUM)
        let segmentation = checksum | UInt32(TUN_F_TSO4) | UInt32(TUN_F_TSO6)
        let all = segmentation | UInt32(TUN_F_USO4) | UInt32(TUN_F_USO6)
        func takes(_ offloads: UInt32) -> Bool {
            clinux_ioctl_value(descriptor, CLINUX_TUNSETOFFLOAD, UInt(offloads)) == 0
        }
        let name = "TAP offloads"
        if takes(all) {
            return DoctorCheck(
                name: name, status: .ok, finding: "checksum, TCP and UDP segmentation")
        }
        if takes(segmentation) {
            return DoctorCheck(
                name: name, status: .warning, finding: "checksum and TCP segmentation, not UDP",
                remedy: "Linux 6.2 or later adds UDP; Heddle works without, slower for UDP")
        }
        return DoctorCheck(
            name: name, status: .warning,
            finding: takes(checksum) ? "checksum only" : "none",
            remedy: "Heddle works without, several times slower: use an upstream kernel")
    }

    private static func alternativeNameCheck() -> DoctorCheck {
        let title = "altnames"
        do {
            let socket = try NetlinkSocket()
            guard let link = try socket.link(.name(name)) else {
                return DoctorCheck(
                    name: title, status: .warning, finding: "the test device was not found",
                    remedy: "try again")
            }
            try socket.addAlternativeName("heddle-doctor-alternative-name", to: link.index)
            return DoctorCheck(
                name: title, status: .ok, finding: "interfaces take alternative names")
        } catch {
            return DoctorCheck(
                name: title, status: .missing, finding: "\(error)",
                remedy: "Linux 5.5 or later is needed: Heddle marks what it makes with them")
        }
    }
}
