import CPcap
import Dataplane
import Synchronization

/// A libpcap filter expression compiled for Ethernet, such as `vlan 10 and icmp`.
///
/// The program reads a frame as it is on the wire, VLAN tag included, and libpcap's rules hold: an
/// expression that does not say `vlan` does not look behind a tag.
///
/// Compiling may read /etc/services and, for a host *name*, wait for the resolver: it belongs on a
/// thread that may block. Matching runs the program alone, on any number of threads.
package final class CaptureFilter: @unchecked Sendable {
    // @unchecked: the program is written by `init` and freed by `deinit`; between them libpcap's
    // interpreter only reads it.

    /// The longest expression accepted, in bytes. libpcap's optimiser takes time that grows faster
    /// than the expression; this bounds it to a fraction of a second.
    package static let maximumByteCount = 4_096

    /// libpcap before 1.8 keeps compiler state in globals, so only one thread compiles at a time.
    private static let compiling = Mutex(())

    /// The expression as given; empty when everything matches.
    package let expression: String

    package static let everything = CaptureFilter()

    private init() {
        expression = ""
        program = nil
    }

    /// nil matches everything.
    private let program: UnsafeMutablePointer<bpf_program>?

    /// Compiles an expression; nil and blank text match every frame.
    package init(_ expression: String?) throws(CaptureFilterError) {
        let expression = expression ?? ""
        self.expression = expression
        guard expression.utf8.contains(where: { !Self.isBlank($0) }) else {
            program = nil
            return
        }
        guard expression.utf8.count <= Self.maximumByteCount else {
            throw .tooLong(byteCount: expression.utf8.count, limit: Self.maximumByteCount)
        }
        if let control = expression.unicodeScalars.first(where: Self.isForbidden) {
            // A NUL would end the C string and silently compile half of the filter.
            throw .controlCharacter(filter: expression, scalar: control)
        }
        program = try Self.compile(expression)
    }

    deinit {
        guard let program else { return }
        pcap_freecode(program)
        program.deallocate()
    }

    /// The filter for workers to run; nil when every frame matches, or when it is of a kind that they
    /// do not know, so that it is left to ``matches(_:originalByteCount:)``.
    package var workerProgram: FilterProgram? {
        guard let program else { return nil }
        let instructions = UnsafeBufferPointer(
            start: program.pointee.bf_insns, count: Int(program.pointee.bf_len))
        return FilterProgram(
            instructions.map {
                FilterProgram.Instruction(
                    code: $0.code, jumpTrue: $0.jt, jumpFalse: $0.jf, constant: $0.k)
            })
    }

    /// Whether every frame matches.
    package var matchesEverything: Bool { program == nil }

    /// Whether a frame matches. The bytes may be cut short of the original length; a test of bytes
    /// beyond them fails, and so does the match.
    package func matches(_ bytes: UnsafeRawBufferPointer, originalByteCount: UInt32) -> Bool {
        guard let program else { return true }
        guard let base = bytes.baseAddress else { return false }
        var header = pcap_pkthdr()
        header.caplen = UInt32(clamping: bytes.count)
        header.len = originalByteCount
        return pcap_offline_filter(
            program, &header, base.assumingMemoryBound(to: UInt8.self)) != 0
    }

    private static func compile(
        _ expression: String
    ) throws(CaptureFilterError) -> UnsafeMutablePointer<bpf_program> {
        let program = UnsafeMutablePointer<bpf_program>.allocate(capacity: 1)
        program.initialize(to: bpf_program())
        let failure: String? = compiling.withLock { _ in
            guard let handle = pcap_open_dead(DLT_EN10MB, 262_144) else { return "out of memory" }
            defer { pcap_close(handle) }
            // 0xffffffff is PCAP_NETMASK_UNKNOWN: `ip broadcast` is refused rather than guessed.
            guard pcap_compile(handle, program, expression, 1, 0xffff_ffff) == 0 else {
                return String(cString: pcap_geterr(handle))
            }
            guard !readsKernelMetadata(program) else {
                pcap_freecode(program)
                return "it asks for what only a kernel socket knows (inbound, outbound, ifindex),"
                    + " not for bytes of the frame"
            }
            return nil
        }
        if let failure {
            program.deallocate()
            throw .doesNotCompile(filter: expression, message: failure)
        }
        return program
    }

    /// Whether a program loads from Linux's ancillary area, which begins at SKF_AD_OFF (-0x1000).
    /// libpcap compiles `inbound` to that, and outside the kernel it silently never matches.
    private static func readsKernelMetadata(_ program: UnsafePointer<bpf_program>) -> Bool {
        let instructions = UnsafeBufferPointer(
            start: program.pointee.bf_insns, count: Int(program.pointee.bf_len))
        return instructions.contains { instruction in
            let isAbsoluteLoad = instruction.code & 0xE7 == 0x20  // BPF_LD | BPF_ABS, any width
            return isAbsoluteLoad && instruction.k >= 0xFFFF_F000
        }
    }

    private static func isBlank(_ octet: UInt8) -> Bool {
        octet == 0x20 || (0x09...0x0D).contains(octet)
    }

    private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 && !isBlank(UInt8(scalar.value)) || scalar.value == 0x7F
    }
}
