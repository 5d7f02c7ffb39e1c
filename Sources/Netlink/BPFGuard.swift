import CLinux
import SystemPackage

/// A guard made of two small BPF programs, linked to the devices (tcx, Linux 6.6); see
/// ``IngressGuard``. A link ends with its descriptor, and so with the process.
///
/// Unlike a netlink socket, the kernel looks for a device in the namespace of the thread that asks.
final class BPFGuard: StackGuard {
    private let ingress: FileDescriptor
    private let egress: FileDescriptor
    private let namespace: UInt64?
    /// Guarded devices, by their links.
    private var devices: [Int32: [FileDescriptor]] = [:]

    /// Fails where BPF is forbidden, as in a user namespace, and on older kernels.
    init() throws(Errno) {
        ingress = try Self.load(BPFInstruction.end(CLINUX_TCX_DROP), name: "heddle_in")
        do throws(Errno) {
            egress = try Self.load(
                [
                    .loadMark,
                    // The next two are jumped over.
                    .jumpIfEqual(to: IngressGuard.mark, over: 2),
                ] + BPFInstruction.end(CLINUX_TCX_DROP) + BPFInstruction.end(CLINUX_TCX_NEXT),
                name: "heddle_out")
            namespace = Self.currentNamespace
            // There is no such device; a kernel that knows the place says so.
            let none = clinux_bpf_link_to_device(
                ingress.rawValue, Int32.max, UInt32(CLINUX_BPF_TCX_INGRESS))
            guard none < 0, Errno.current == .operationNotSupportedByDevice else {
                try? egress.close()
                throw Errno.notSupported
            }
        } catch {
            try? ingress.close()
            throw error
        }
    }

    deinit {
        close()
        try? ingress.close()
        try? egress.close()
    }

    func protect(_ index: Int32, name: String) throws(NetlinkError) {
        guard devices[index] == nil else { return }
        guard Self.currentNamespace == namespace else {
            // There the index means another device.
            throw .refused(
                operation: "keep the host's stack from", object: "device '\(name)'",
                errno: .improperLink, message: "asked in another network namespace")
        }
        let first = try link(ingress, to: index, name, CLINUX_BPF_TCX_INGRESS)
        do {
            devices[index] = [first, try link(egress, to: index, name, CLINUX_BPF_TCX_EGRESS)]
        } catch {
            try? first.close()
            throw error
        }
    }

    func release(_ index: Int32) {
        for link in devices.removeValue(forKey: index) ?? [] { try? link.close() }
    }

    func close() {
        for index in devices.keys { release(index) }
    }

    private func link(
        _ program: FileDescriptor, to index: Int32, _ name: String, _ place: Int32
    ) throws(NetlinkError) -> FileDescriptor {
        let link = clinux_bpf_link_to_device(program.rawValue, index, UInt32(place))
        guard link >= 0 else {
            throw .refused(
                operation: "keep the host's stack from", object: "device '\(name)'",
                errno: .current, message: nil)
        }
        return FileDescriptor(rawValue: link)
    }

    private static func load(
        _ program: [BPFInstruction], name: String
    ) throws(Errno) -> FileDescriptor {
        let descriptor = clinux_bpf_load_classifier(
            program.map(\.word), UInt32(program.count), name)
        guard descriptor >= 0 else { throw .current }
        return FileDescriptor(rawValue: descriptor)
    }

    /// Identifies the thread's network namespace.
    private static var currentNamespace: UInt64? {
        var status = stat()
        return stat("/proc/thread-self/ns/net", &status) == 0 ? UInt64(status.st_ino) : nil
    }
}

/// One eBPF instruction (RFC 9669 §3), as far as they are used: on register 0, with the frame's
/// `struct __sk_buff` in register 1.
private struct BPFInstruction {
    /// From the lowest bit: opcode, destination, source, offset, immediate.
    let word: UInt64

    private init(_ opcode: UInt64, source: UInt64 = 0, offset: UInt64 = 0, immediate: UInt32 = 0) {
        word = opcode | source << 12 | offset << 16 | UInt64(immediate) << 32
    }

    /// The frame's mark, the third word of its description.
    static let loadMark = BPFInstruction(0x61, source: 1, offset: 8)

    static func jumpIfEqual(to value: UInt32, over count: UInt64) -> BPFInstruction {
        BPFInstruction(0x15, offset: count, immediate: value)
    }

    /// Ends the program with this result.
    static func end(_ value: Int32) -> [BPFInstruction] {
        [BPFInstruction(0xB7, immediate: UInt32(bitPattern: value)), BPFInstruction(0x95)]
    }
}
