import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Ports

@Suite("A TAP device's name")
struct TAPNameTests {
    @Test(
        "is refused before the kernel is asked",
        arguments: [
            "",
            "sixteen-bytes-xx",  // one too long
            "a/b", "a:b", "a b",  // refused by the kernel
            "tap%d",  // a template: the device would have another name
            ".", "..",  // file names under /sys
            "é12345678901234",  // 15 characters, 16 bytes
        ])
    func invalid(name: String) {
        #expect(throws: TAPError.invalidName(name)) { try TAPDevice(name, .create) }
    }

    @Test("of fifteen bytes is fine")
    func longest() {
        #expect(TAPDevice.isValid("fifteen-bytes-x"))
    }
}

@Suite(
    "A TAP device of the real kernel", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct TAPDeviceTests {
    @Test("gets every offload that this kernel has")
    func offloads() throws {
        var system = utsname()
        uname(&system)
        let release = withUnsafeBytes(of: system.release) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        let parts = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        let hasUSO = (parts[0], parts[1]) >= (6, 2)
        try inFreshNamespace {
            let device = try TAPDevice("tap0", .create)
            #expect(
                device.offloads
                    == (hasUSO ? [.checksum, .tso, .uso] : [.checksum, .tso]))
            var byteCount: Int32 = 0
            #expect(
                clinux_ioctl_pointer(
                    device.descriptor.rawValue, CLINUX_TUNGETVNETHDRSZ, &byteCount) == 0)
            #expect(byteCount == 12)
        }
    }

    @Test("belongs to the thread's namespace and ends with its descriptor")
    func lifetime() throws {
        try inFreshNamespace {
            do {
                let device = try TAPDevice("tap0", .create)
                #expect(device.index == Int32(if_nametoindex("tap0")))
                try inFreshNamespace { #expect(if_nametoindex("tap0") == 0) }
                let isPersistent = try device.isPersistent
                #expect(!isPersistent)
            }
            #expect(soon { if_nametoindex("tap0") == 0 })
        }
    }

    @Test("does not wait for a frame")
    func nonBlocking() throws {
        try inFreshNamespace {
            let device = try TAPDevice("tap0", .create)
            var frame = [UInt8](repeating: 0, count: 2048)
            #expect(read(device.descriptor.rawValue, &frame, frame.count) == -1)
            // EIO while the device is down; EAGAIN once it is up.
            #expect([EIO, EAGAIN].contains(errno))
        }
    }

    @Test("is adopted when it is persistent and free, with its offloads")
    func adopt() throws {
        try inFreshNamespace {
            var first: TAPDevice? = try TAPDevice("tap0", .create)
            let index = try #require(first?.index)
            let offloads = first?.offloads
            try first?.setPersistent(true)
            #expect(throws: TAPError.held(name: "tap0")) { try TAPDevice("tap0", .adopt) }
            first = nil
            #expect(if_nametoindex("tap0") == UInt32(index), "it outlives its descriptor")

            let second = try TAPDevice("tap0", .adopt)
            #expect(second.index == index)
            #expect(second.offloads == offloads)
            let isPersistent = try second.isPersistent
            #expect(isPersistent)
        }
    }

    @Test("is not made by the attempt to adopt it")
    func adoptMissing() throws {
        try inFreshNamespace {
            #expect(throws: TAPError.missing(name: "tap0")) { try TAPDevice("tap0", .adopt) }
            #expect(soon { if_nametoindex("tap0") == 0 })
        }
    }

    @Test("is not taken over by the attempt to make it")
    func nameTaken() throws {
        try inFreshNamespace {
            let device = try TAPDevice("tap0", .create)
            try device.setPersistent(true)
            #expect(throws: TAPError.nameTaken(name: "tap0")) { try TAPDevice("tap0", .create) }
            #expect(throws: TAPError.nameTaken(name: "lo")) { try TAPDevice("lo", .create) }
        }
    }

    @Test("is not a TUN, a TAP with several queues, or a device of another kind")
    func wrongKind() throws {
        try inFreshNamespace {
            for (name, flags) in [
                ("tun0", IFF_TUN | IFF_NO_PI),
                ("multi0", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE),
            ] {
                let descriptor = clinux_open_mode("/dev/net/tun", O_RDWR | O_CLOEXEC, 0)
                var request = ifreq()
                clinux_ifreq_set_name(&request, name)
                clinux_ifreq_set_flags(&request, flags)
                #expect(clinux_ioctl_pointer(descriptor, CLINUX_TUNSETIFF, &request) == 0)
                #expect(clinux_ioctl_value(descriptor, CLINUX_TUNSETPERSIST, 1) == 0)
                close(descriptor)
                #expect(throws: TAPError.wrongKind(name: name)) { try TAPDevice(name, .adopt) }
                #expect(if_nametoindex(name) != 0, "and it is left alone")
            }
            #expect(throws: TAPError.wrongKind(name: "lo")) { try TAPDevice("lo", .adopt) }
        }
    }
}
