import CLinux
import ControlAPI
import Glibc
import Netlink
import Ports
import SystemPackage
import Wire

/// What the machine offers to networks that span hosts. Sockets are opened and closed, nothing is
/// sent.
enum DoctorUnderlay {
    static func checks() -> [DoctorCheck] {
        let offloads = UDPOffloads.ofKernel()
        return [
            segmentation(offloads), coalescing(offloads), rawSocket(failure: rawSocketFailure()),
            receiveBuffer(canForce: canForceBuffer(), limit: bufferLimit()), mtu(of: devices()),
        ]
    }

    static func segmentation(_ offloads: UDPOffloads) -> DoctorCheck {
        let name = "UDP segmentation"
        guard offloads.contains(.segmentation) else {
            return DoctorCheck(
                name: name, status: .warning, finding: "no UDP_SEGMENT: a datagram at a time",
                remedy: "Linux 4.18 or later; VXLAN and Geneve work without, several times slower")
        }
        return DoctorCheck(
            name: name, status: .ok, finding: "UDP_SEGMENT: VXLAN and Geneve send in bulk")
    }

    static func coalescing(_ offloads: UDPOffloads) -> DoctorCheck {
        let name = "UDP coalescing"
        guard offloads.contains(.coalescing) else {
            return DoctorCheck(
                name: name, status: .warning, finding: "no UDP_GRO: a datagram at a time",
                remedy: "Linux 5.0 or later; VXLAN and Geneve work without, several times slower")
        }
        return DoctorCheck(
            name: name, status: .ok, finding: "UDP_GRO: VXLAN and Geneve receive in bulk")
    }

    /// - Parameter failure: why no raw socket can be had; nil when one can.
    static func rawSocket(failure: Errno?) -> DoctorCheck {
        let name = "GRE socket"
        return switch failure {
        case nil:
            DoctorCheck(name: name, status: .ok, finding: "permitted: GRE and NVGRE work")
        case .notPermitted?, .permissionDenied?:
            DoctorCheck(
                name: name, status: .warning, finding: "not permitted: no GRE and no NVGRE",
                remedy: "they need CAP_NET_RAW: run as root; VXLAN and Geneve need no privilege")
        case let errno?:
            DoctorCheck(
                name: name, status: .warning, finding: "not to be had: \(errno)",
                remedy: "use VXLAN or Geneve")
        }
    }

    /// - Parameters:
    ///   - canForce: Whether the process may go beyond the limit.
    ///   - limit: net.core.rmem_max in bytes; nil when it cannot be read.
    static func receiveBuffer(canForce: Bool, limit: Int?) -> DoctorCheck {
        let name = "receive buffer"
        let wanted = Int(UDPUnderlay.receiveBufferByteCount)
        if canForce {
            return DoctorCheck(
                name: name, status: .ok, finding: "\(wanted >> 20) MiB for tunnels, by privilege")
        }
        if let limit, limit >= wanted {
            return DoctorCheck(
                name: name, status: .ok, finding: "\(wanted >> 20) MiB for tunnels")
        }
        return DoctorCheck(
            name: name, status: .warning,
            finding: limit.map { "\($0 >> 10) KiB at most: tunnels lose datagrams in bursts" }
                ?? "its limit is not known",
            remedy: "'sysctl net.core.rmem_max=\(wanted)', or run as root")
    }

    /// Judges the MTUs of the devices that tunnels could use.
    static func mtu(of devices: [(name: String, mtu: Int)]) -> DoctorCheck {
        let name = "underlay MTU"
        guard let smallest = devices.min(by: { $0.mtu < $1.mtu }) else {
            return DoctorCheck(
                name: name, status: .warning, finding: "no device is up with an address",
                remedy: "tunnels need one: 'ip address add', 'ip link set DEVICE up'")
        }
        // The largest overhead, of VXLAN and Geneve over IPv6, and IPv6's least MTU (RFC 8200
        // section 5).
        let overhead = 70
        let least = 1280
        let room = smallest.mtu - overhead
        let finding =
            "\(smallest.name) has \(smallest.mtu): networks of up to \(room) fit any tunnel"
        guard room < least else { return DoctorCheck(name: name, status: .ok, finding: finding) }
        return DoctorCheck(
            name: name, status: .warning, finding: finding,
            remedy: "IPv6 needs \(least): 'ip link set \(smallest.name) mtu \(least + overhead)' or"
                + " more, if the network takes it")
    }

    private static func rawSocketFailure() -> Errno? {
        let descriptor = socket(
            AF_INET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Int32(IPPROTO_GRE))
        guard descriptor >= 0 else { return .current }
        close(descriptor)
        return nil
    }

    private static func canForceBuffer() -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var byteCount = UDPUnderlay.receiveBufferByteCount
        return setsockopt(
            descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &byteCount,
            socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    private static func bufferLimit() -> Int? {
        (try? FileDescriptor.contents(ofFile: "/proc/sys/net/core/rmem_max"))
            .flatMap { Int($0.prefix { $0.isNumber }) }
    }

    /// The devices that are up and have an address that others can reach.
    private static func devices() -> [(name: String, mtu: Int)] {
        guard let socket = try? NetlinkSocket(), let links = try? socket.links(),
            let addresses = try? socket.addresses()
        else { return [] }
        let reachable = Set(
            addresses.filter {
                if case .v6(let address) = $0.address.address { !address.isLinkLocal } else { true }
            }.map(\.index))
        return links.filter {
            $0.flags.contains(.up) && !$0.flags.contains(.loopback) && reachable.contains($0.index)
        }.map { ($0.name, $0.mtu) }
    }
}
