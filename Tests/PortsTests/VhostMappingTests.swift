import CLinux
import Glibc
import Testing

@testable import Ports

@Suite("Guest memory is mapped so that nobody else's is within reach")
struct VhostMappingTests {
    private func map(
        _ descriptor: Int32, _ offset: UInt64, _ byteCount: UInt64, host: VhostHost
    ) throws -> GuestMapping {
        try GuestMapping(
            descriptor, offset: offset, byteCount: byteCount, fault: host.memoryFault, owner: host)
    }

    private func wasSignalled(_ host: VhostHost) -> Bool {
        var count: UInt64 = 0
        return read(host.memoryFault, &count, 8) == 8
    }

    /// Protection of the page that an address lies in, as /proc/self/maps has it; "" for none.
    private func protection(_ address: UnsafeRawPointer) -> String {
        guard let file = fopen("/proc/self/maps", "r") else { return "?" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        while fgets(&line, 512, file) != nil {
            let text = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            let fields = text.split(separator: " ")
            let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if (range[0]..<range[1]).contains(UInt(bitPattern: address)) {
                return String(fields[1])
            }
        }
        return ""
    }

    @Test("what is written here is in the front-end's file, at the offset that it named")
    func shares() throws {
        let host = try VhostHost()
        let file = VhostTestFile(byteCount: 4 * 4096)
        for (offset, byteCount) in [(0, 4 * 4096), (4096, 4096), (100, 5000), (4095, 2)] {
            let mapping = try map(
                file.descriptor, UInt64(offset), UInt64(byteCount), host: host)
            #expect(mapping.byteCount == byteCount)
            let value = UInt8(byteCount % 251 + 1)
            mapping.bytes.storeBytes(of: value, as: UInt8.self)
            mapping.bytes.storeBytes(of: value, toByteOffset: byteCount - 1, as: UInt8.self)
            #expect(file.byte(at: offset) == value)
            #expect(file.byte(at: offset + byteCount - 1) == value)
        }
    }

    @Test("before and after it lies what nobody may touch, and it goes away whole")
    func guards() throws {
        let host = try VhostHost()
        let file = VhostTestFile(byteCount: 3 * 4096)
        var mapping: GuestMapping? = try map(file.descriptor, 4096, 8192, host: host)
        let bytes = try #require(mapping).bytes
        #expect(protection(bytes) == "rw-s" && protection(bytes + 8191) == "rw-s")
        for distance in [1, 4096, GuestMapping.guardByteCount] {
            #expect(protection(bytes - distance) == "---p")
            #expect(protection(bytes + 8191 + distance) == "---p")
        }
        mapping = nil
        #expect(protection(bytes) != "rw-s")
    }

    @Test("a region beyond the file's end is refused")
    func beyondTheEnd() throws {
        let host = try VhostHost()
        let file = VhostTestFile(byteCount: 8192)
        for (offset, byteCount) in [
            (0, 8193), (8192, 1), (8191, 2), (1 << 63, 1), (0, .max), (.max, .max), (0, 0),
        ] as [(UInt64, UInt64)] {
            #expect(throws: VhostFault.self) {
                _ = try map(file.descriptor, offset, byteCount, host: host)
            }
        }
    }

    @Test("only files of memory or of a local disk are mapped, and only to be written to")
    func kinds() throws {
        let host = try VhostHost()
        var pipes: [Int32] = [0, 0]
        pipe(&pipes)
        let device = open("/dev/zero", O_RDWR | O_CLOEXEC)
        let proc = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        let event = eventfd(0, 0)
        defer { for descriptor in pipes + [device, proc, event] { close(descriptor) } }
        for descriptor in [pipes[0], device, proc, event, -1] {
            #expect(throws: VhostFault.self) { _ = try map(descriptor, 0, 4096, host: host) }
        }

        let file = VhostTestFile(byteCount: 4096)
        let readOnly = open("/proc/self/fd/\(file.descriptor)", O_RDONLY | O_CLOEXEC)
        defer { close(readOnly) }
        let fault = #expect(throws: VhostFault.self) {
            _ = try map(readOnly, 0, 4096, host: host)
        }
        #expect(fault?.sentence.contains("share=on") == true)
    }

    @Test("memory that the front-end cuts short under a reader is told of, and reads as zeros")
    func cutShort() throws {
        let host = try VhostHost()
        let file = VhostTestFile(byteCount: 64 * 4096)
        let mapping = try map(file.descriptor, 0, 64 * 4096, host: host)
        let other = try VhostHost()
        let otherFile = VhostTestFile(byteCount: 4096)
        let otherMapping = try map(otherFile.descriptor, 0, 4096, host: other)
        otherMapping.bytes.storeBytes(of: 7, as: UInt8.self)
        memset(mapping.bytes, 0xAA, mapping.byteCount)
        file.cut(to: 4096)
        #expect(!wasSignalled(host))
        #expect(mapping.bytes.load(as: UInt8.self) == 0xAA, "the file still has this page")
        #expect(!wasSignalled(host))
        #expect(mapping.bytes.load(fromByteOffset: 5000, as: UInt8.self) == 0)
        #expect(wasSignalled(host))
        memset(mapping.bytes, 0x55, mapping.byteCount)
        #expect(mapping.bytes.load(fromByteOffset: 60 * 4096, as: UInt8.self) == 0x55)
        #expect(wasSignalled(host))
        #expect(!wasSignalled(other))
        #expect(otherMapping.bytes.load(as: UInt8.self) == 7)
    }

    @Test("threads that run into the cut end at once all go on")
    func cutShortUnderThreads() async throws {
        let host = try VhostHost()
        let file = VhostTestFile(byteCount: 256 * 4096)
        let mapping = try map(file.descriptor, 0, 256 * 4096, host: host)
        memset(mapping.bytes, 1, mapping.byteCount)
        file.cut(to: 0)
        let start = UInt(bitPattern: mapping.bytes)
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let bytes = UnsafePointer<UInt8>(bitPattern: start)!
                    return (0..<256).reduce(0) { $0 + Int(bytes[$1 * 4096]) }
                }
            }
            for await sum in group { #expect(sum == 0) }
        }
        #expect(wasSignalled(host))
        withExtendedLifetime(mapping) {}
    }

    @Test("huge pages are mapped from and to their own boundaries, where the system has any")
    func hugePages() throws {
        let host = try VhostHost()
        let descriptor = memfd_create("test-huge", UInt32(MFD_CLOEXEC | MFD_HUGETLB))
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        ftruncate(descriptor, 4 << 20)
        // Without any in the pool, mapping is refused (they are reserved then) or touching tells.
        guard let mapping = try? map(descriptor, 2 << 20 | 0x1000, 0x2000, host: host) else {
            return
        }
        #expect((UInt(bitPattern: mapping.bytes) - 0x1000) % (2 << 20) == 0)
        _ = mapping.bytes.load(as: UInt8.self)
    }

    @Test(
        "a descriptor to notify by is an eventfd, a pipe or a socket, and never blocks from then on"
    )
    func notifiers() throws {
        let host = try VhostHost()
        var pipes: [Int32] = [0, 0]
        pipe(&pipes)
        let blocking = eventfd(0, 0)
        var sockets: [Int32] = [0, 0]
        socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets)
        for descriptor in [pipes[1], sockets[1], blocking] {
            let passed = PassedDescriptor(system: dup(descriptor))
            try host.prepare(notifier: passed)
            #expect(clinux_fcntl_value(descriptor, F_GETFL, 0) & O_NONBLOCK != 0)
            host.signal(passed)
        }
        var count: UInt64 = 0
        #expect(read(pipes[0], &count, 8) == 8 && count == 1)
        #expect(read(sockets[0], &count, 8) == 8 && count == 1)
        #expect(read(blocking, &count, 8) == 8 && count == 1)
        let file = VhostTestFile(byteCount: 4096)
        let epoll = epoll_create1(0)
        let folder = open("/proc", O_RDONLY)
        for descriptor in [file.descriptor, epoll, folder] {
            #expect(throws: VhostFault.self) {
                try host.prepare(notifier: PassedDescriptor(system: dup(descriptor)))
            }
        }
        for descriptor in pipes + sockets + [blocking, epoll, folder] { close(descriptor) }
    }

    @Test("a file that is made for the front-end is zero and keeps its size")
    func inflightFile() throws {
        let host = try VhostHost()
        let (descriptor, memory) = try host.makeFile(byteCount: 5000)
        #expect(memory.byteCount == 5000)
        #expect(memory.bytes.load(fromByteOffset: 4999, as: UInt8.self) == 0)
        #expect(ftruncate(descriptor.rawValue, 0) != 0)
        // The front-end's successor passes it back.
        memory.bytes.storeBytes(of: 9, as: UInt8.self)
        let again = try host.map(descriptor, offset: 0, byteCount: 5000)
        #expect(again.bytes.load(as: UInt8.self) == 9)
    }
}
