// What this machine offers to the switch, looked at without a switch and without leaving a trace.
//
// Order matters. Facts of the process as it is come first; then, last of all, a TAP device is made
// to see what the driver takes: in a fresh network namespace, so that the host never sees it. Root
// enters one on a thread; an ordinary user enters a sandbox with the whole process, which is also
// the test of whether `--sandbox` works here. After `examine` the process may therefore be in
// other namespaces, and should end.

import CLinux
import ControlAPI
import Glibc
import SystemPackage

package enum Doctor {
    /// Descriptors that the switch uses besides those of its ports.
    static let ownDescriptorCount = 64
    /// Descriptors that one port uses: its queue and an event.
    static let descriptorsPerPort = 2

    /// Looks at everything. Call before any thread is started.
    package static func examine(socket: SocketPath) -> DoctorReport {
        let privileges = Capabilities.effective
        var checks = [
            kernel(), tunDevice(), capability(privileges), tool("ip", "iproute2"),
            tool("ping", "iputils-ping"), captureLibrary(), descriptorLimit(), daemon(socket),
        ]
        checks += DoctorUnderlay.checks()
        let sandbox = userNamespaces(entering: !privileges.contains(.netAdmin))
        checks.append(sandbox.check)
        checks += DoctorTAP.checks(
            canMakeDevices: sandbox.isInside || privileges.contains([.netAdmin, .sysAdmin]),
            isInside: sandbox.isInside)
        return DoctorReport(checks: checks)
    }

    static func kernel() -> DoctorCheck {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: &names.release) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        return kernel(release: release)
    }

    static func kernel(release: String) -> DoctorCheck {
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        let version = numbers.count == 2 ? numbers[0] * 1000 + numbers[1] : 0
        let finding = "Linux \(release)"
        if version >= 6_002 { return DoctorCheck(name: "kernel", status: .ok, finding: finding) }
        if version >= 5_005 {
            return DoctorCheck(
                name: "kernel", status: .warning, finding: finding,
                remedy: "Linux 6.2 adds UDP segmentation offload to TAPs; all else works")
        }
        return DoctorCheck(
            name: "kernel", status: .missing, finding: finding,
            remedy: "Linux 5.5 or later is needed, for alternative interface names")
    }

    private static func tunDevice() -> DoctorCheck {
        let name = "/dev/net/tun"
        let descriptor = clinux_open_mode(name, O_RDWR | O_CLOEXEC, 0)
        guard descriptor < 0 else {
            close(descriptor)
            return DoctorCheck(name: name, status: .ok, finding: "present, opens")
        }
        let code = errno
        let remedy =
            switch code {
            case ENOENT, ENODEV, ENXIO:
                "load the driver with 'modprobe tun'; in a container, pass --device /dev/net/tun"
            case EACCES, EPERM:
                "run as root, or give it its usual mode: 'chmod 666 /dev/net/tun'"
            default: "see the kernel's log"
            }
        return DoctorCheck(
            name: name, status: .missing, finding: "cannot be opened: \(errorText(code))",
            remedy: remedy)
    }

    private static func capability(_ capabilities: Capabilities) -> DoctorCheck {
        if capabilities.contains([.netAdmin, .sysAdmin]) {
            return DoctorCheck(
                name: "privilege", status: .ok, finding: "CAP_NET_ADMIN and CAP_SYS_ADMIN")
        }
        return DoctorCheck(
            name: "privilege", status: .warning,
            finding: capabilities.contains(.netAdmin) ? "no CAP_SYS_ADMIN" : "no CAP_NET_ADMIN",
            remedy: "'sudo heddle run' for the host's networks; 'heddle run --sandbox' needs none")
    }

    private static func tool(_ name: String, _ package: String) -> DoctorCheck {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        // An ordinary user's PATH lacks the directories where ip often lies.
        let directories = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        if let found = directories.first(where: { access("\($0)/\(name)", X_OK) == 0 }) {
            return DoctorCheck(name: name, status: .ok, finding: "\(found)/\(name)")
        }
        return DoctorCheck(
            name: name, status: .warning, finding: "not found",
            remedy: "the switch runs without it; to try a lab, 'apt-get install \(package)'")
    }

    /// Asks the library that is loaded, whose version the headers do not know. By its symbol,
    /// because the shims of libpcap and of Linux in one target disagree on the layout of fd_set.
    private static func captureLibrary() -> DoctorCheck {
        typealias Version = @convention(c) () -> UnsafePointer<CChar>?
        guard let symbol = dlsym(nil, "pcap_lib_version"),
            let text = unsafeBitCast(symbol, to: Version.self)()
        else {
            return DoctorCheck(
                name: "libpcap", status: .missing, finding: "not loaded",
                remedy: "'apt-get install libpcap0.8'")
        }
        return DoctorCheck(name: "libpcap", status: .ok, finding: String(cString: text))
    }

    private static func descriptorLimit() -> DoctorCheck {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return descriptorLimit(Int(clamping: limit.rlim_cur), hard: Int(clamping: limit.rlim_max))
    }

    static func descriptorLimit(_ soft: Int, hard: Int) -> DoctorCheck {
        let ports = max(0, (hard - ownDescriptorCount) / descriptorsPerPort)
        let finding = "\(soft) open files, \(hard) at most: enough for about \(ports) ports"
        if ports >= 256 { return DoctorCheck(name: "limits", status: .ok, finding: finding) }
        return DoctorCheck(
            name: "limits", status: .warning, finding: finding,
            remedy: "raise it with 'ulimit -Hn 65536', or LimitNOFILE= in a systemd unit")
    }

    private static func daemon(_ socket: SocketPath) -> DoctorCheck {
        var http = HTTPClient(path: socket)
        http.timeoutSeconds = 3
        do {
            let version = try SwitchClient(http: http).version()
            return DoctorCheck(
                name: "switch", status: .ok,
                finding: "version \(version.version) answers at \(try http.answeringPath())")
        } catch {
            if case .noSwitch = error {
                return DoctorCheck(
                    name: "switch", status: .ok, finding: "none is running here")
            }
            return DoctorCheck(
                name: "switch", status: .warning, finding: "\(error)",
                remedy: "stop what holds the socket, or choose another with --socket")
        }
    }

    /// Whether `--sandbox` works; enters one if asked to.
    private static func userNamespaces(
        entering: Bool
    ) -> (check: DoctorCheck, isInside: Bool) {
        let name = "sandbox"
        guard entering else {
            let limit =
                (try? FileDescriptor.contents(ofFile: "/proc/sys/user/max_user_namespaces"))?
                .prefix { $0.isNumber }
            if limit == "0" {
                return (
                    DoctorCheck(
                        name: name, status: .warning, finding: "user namespaces are switched off",
                        remedy: "'sysctl user.max_user_namespaces=65536' allows --sandbox"), false
                )
            }
            return (
                DoctorCheck(
                    name: name, status: .ok, finding: "user namespaces: \(limit ?? "?") at most"),
                false
            )
        }
        do {
            try Sandbox.enter()
            return (DoctorCheck(name: name, status: .ok, finding: "works"), true)
        } catch {
            return (
                DoctorCheck(
                    name: name, status: .missing, finding: "\(error)",
                    remedy: "do as it says, or use 'sudo heddle run'"), false
            )
        }
    }
}
