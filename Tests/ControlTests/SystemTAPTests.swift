import CLinux
import Glibc
import Netlink
import Ports
import SystemPackage
import TestSupport
import Testing
import Wire

@testable import Control

@Suite(
    "Provisioning a TAP device", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct SystemTAPTests {
    private let interface = TAPInterface(
        name: "hd-web-1", mark: "heddle-lab-web-1",
        macAddress: MACAddress(rawValue: 0x0200_0000_0001), mtu: 1400,
        addresses: [InterfaceAddress("10.10.0.1/24")!, InterfaceAddress("2001:db8::1/64")!])

    @Test("makes it in a namespace as declared, up, marked and persistent")
    func create() throws {
        try inFreshNamespace {
            try NamespaceThread.run(.new) {
                let namespace = try NetworkNamespace.current()
                let device = try NamespaceThread.run(.new) {
                    try TAPProvisioner.provision(
                        interface, .create, in: namespace.descriptor)
                }
                let socket = try NetlinkSocket()
                let link = try #require(
                    try socket.link(.alternativeName("heddle-lab-web-1")))
                #expect(link.index == device.index)
                #expect(link.name == "hd-web-1")
                #expect(link.mtu == 1400)
                #expect(link.address == interface.macAddress)
                #expect(link.flags.contains([.up, .running]))
                let addresses = try socket.addresses(of: link.index)
                #expect(addresses.starts(with: interface.addresses))
                let isPersistent = try device.isPersistent
                #expect(isPersistent)
            }
        }
    }

    @Test("leaves nothing when a step fails")
    func undoCreate() throws {
        try inFreshNamespace {
            var impossible = interface
            impossible.mtu = 100_000
            #expect {
                try TAPProvisioner.provision(impossible, .create)
            } throws: {
                "\($0)".contains("mtu greater than device maximum")
            }
            #expect(soon { if_nametoindex("hd-web-1") == 0 })
        }
    }

    @Test("adopts it after a crash, and takes back what it changed when that fails")
    func adopt() throws {
        try inFreshNamespace {
            _ = try TAPProvisioner.provision(interface, .create)
            let socket = try NetlinkSocket()
            let before = try #require(try socket.link(.name("hd-web-1")))

            // An MTU below 1280 disables IPv6: the second address cannot be added.
            var changed = interface
            changed.mtu = 1000
            changed.addresses.append(InterfaceAddress("2001:db8::2/64")!)
            #expect(throws: NetlinkError.self) {
                try TAPProvisioner.provision(changed, .adopt)
            }
            let after = try #require(try socket.link(.name("hd-web-1")))
            #expect(after.mtu == 1400)

            let adopted = try TAPProvisioner.provision(interface, .adopt)
            #expect(adopted.index == before.index)
        }
    }

    @Test("repairs what somebody changed, and says what; then nothing is left to do")
    func repair() throws {
        try inFreshNamespace {
            let device = try TAPProvisioner.provision(interface, .create)
            let untouched = try TAPProvisioner.repair(interface)
            #expect(untouched == [])
            let socket = try NetlinkSocket()
            try socket.setMTU(device.index, to: 1500)
            try socket.removeAddress(interface.addresses[0], from: device.index)
            try socket.setUp(device.index, false)
            let corrections = try TAPProvisioner.repair(interface)
            #expect(
                corrections == [
                    .mtu(from: 1500, to: 1400), .address(interface.addresses[0]),
                    .address(interface.addresses[1]),  // it goes when the device goes down
                    .up,
                ])
            let second = try TAPProvisioner.repair(interface)
            #expect(second == [])
        }
    }

    @Test("touches no device without the mark")
    func notOurs() throws {
        try inFreshNamespace {
            let foreign = try TAPDevice("hd-web-1", .create)
            try foreign.setPersistent(true)
            let refusal = TAPProvisioner.Failure.notOurs(
                name: "hd-web-1", mark: "heddle-lab-web-1")
            #expect(throws: refusal) { try TAPProvisioner.repair(interface) }
            #expect(throws: refusal) { try TAPProvisioner.provision(interface, .adopt) }
            #expect(throws: refusal) {
                try TAPProvisioner.remove(name: interface.name, mark: interface.mark)
            }
            #expect(throws: TAPError.nameTaken(name: "hd-web-1")) {
                try TAPProvisioner.provision(interface, .create)
            }
            #expect(if_nametoindex("hd-web-1") == UInt32(foreign.index))
        }
    }

    @Test("removes it once, even while it is open")
    func remove() throws {
        try inFreshNamespace {
            let device = try TAPProvisioner.provision(interface, .create)
            let first = try TAPProvisioner.remove(name: interface.name, mark: interface.mark)
            let second = try TAPProvisioner.remove(name: interface.name, mark: interface.mark)
            #expect((first, second) == (.removed, .absent))
            #expect(if_nametoindex("hd-web-1") == 0)
            _ = device
        }
    }

    @Test("gives a device that carries frames both ways, behind a 12-byte header")
    func frames() throws {
        try inFreshNamespace {
            let device = try TAPProvisioner.provision(interface, .create)
            // An ARP request for the device's own address; the kernel answers it.
            let request: [UInt8] =
                [UInt8](repeating: 0, count: 12)  // virtio_net_hdr_v1: nothing to do
                + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 9, 8, 6]  // Ethernet
                + [0, 1, 8, 0, 6, 4, 0, 1]  // who has
                + [2, 0, 0, 0, 0, 9, 10, 10, 0, 9, 0, 0, 0, 0, 0, 0, 10, 10, 0, 1]
            let descriptor = device.descriptor.rawValue
            #expect(write(descriptor, request, request.count) == request.count)
            let deadline = ContinuousClock.now + .seconds(5)
            var isAnswered = false
            while !isAnswered, ContinuousClock.now < deadline {
                var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                poll(&polled, 1, 100)
                var frame = [UInt8](repeating: 0, count: 2048)
                let byteCount = read(descriptor, &frame, frame.count)
                // A reply (operation 2) to the asker; the guest's IPv6 chatter is skipped.
                isAnswered =
                    byteCount >= 12 + 42 && Array(frame[12..<18]) == [2, 0, 0, 0, 0, 9]
                    && Array(frame[24..<26]) == [8, 6] && frame[33] == 2
            }
            #expect(isAnswered)
        }
    }
}
