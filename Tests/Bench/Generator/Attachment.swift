import CLinux
import Glibc
import TestSupport
import Wire

/// An interface that frames are sent into: a packet socket that receives nothing, and the counters.
final class Attachment {
    let interface: String
    let socket: Int32
    let index: Int32
    let address: MACAddress
    /// /proc/net/dev of the namespace in which it was opened.
    private let table: Int32

    /// Opens it in the calling thread's namespace.
    init(_ interface: String) throws(GeneratorError) {
        self.interface = interface
        socket = try check(
            Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0),
            "open a packet socket")
        let table = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC)
        self.table = table
        var request = ifreq()
        clinux_ifreq_set_name(&request, interface)
        let socket = self.socket
        do throws(GeneratorError) {
            try check(table, "open /proc/thread-self/net/dev")
            try check(
                clinux_ioctl_pointer(socket, UInt(SIOCGIFINDEX), &request),
                "find the interface '\(interface)'")
            index = clinux_ifreq_index(&request)
            try check(
                clinux_ioctl_pointer(socket, UInt(SIOCGIFHWADDR), &request),
                "read the address of '\(interface)'")
            address = withUnsafeBytes(of: &request.ifr_ifru.ifru_hwaddr.sa_data) {
                MACAddress($0.baseAddress!)
            }
            try check(
                bindPacketSocket(socket, index: index, etherType: 0), "bind a packet socket")
            // Past the queueing discipline, straight into the device: what is wanted is the device's
            // own queue, and to be told when it is full.
            var bypass: Int32 = 1
            try check(
                setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, 4),
                "go round the queueing discipline of '\(interface)'")
        } catch {
            close(socket)
            if table >= 0 { close(table) }
            throw error
        }
    }

    deinit {
        close(socket)
        close(table)
    }

    /// The interface's own address, and as many more as are wanted: locally administered ones, unlike
    /// those of other interfaces unless the last two bytes of theirs are the same.
    func derivedAddress(_ number: Int) -> MACAddress {
        guard number > 0 else { return address }
        return MACAddress(
            rawValue: 0x0600_0000_0000 | (address.rawValue & 0xFFFF) << 24 | UInt64(number))
    }

    /// Makes the first so many of its addresses known to the switch, by broadcasts: three from each,
    /// since a switch that is starting may lose one.
    func announce(addresses count: Int, run: UInt32, _ clock: Clock) throws(GeneratorError) {
        let frames = FrameSender(
            socket: socket, size: TestFrame.minimumSize, run: run,
            addresses: FrameSender.Addresses(
                sources: (0..<count).map { derivedAddress($0) }, destinations: [.broadcast]),
            clock: clock)
        let start = Clock.now()
        try frames.send(
            .announcement, at: .paced(2000), from: start, to: start + UInt64(3 * count) * 500_000)
    }

    /// What the interface has counted since it was made.
    func counters() throws(GeneratorError) -> InterfaceCounters {
        let capacity = 65536
        let text = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
        defer { text.deallocate() }
        var byteCount = 0
        while byteCount < capacity {
            let count = try check(
                pread(table, text.baseAddress! + byteCount, capacity - byteCount, off_t(byteCount)),
                "read the counters of '\(interface)'")
            if count == 0 { break }
            byteCount += count
        }
        if let counters = InterfaceCounters(of: interface, in: text[..<byteCount]) {
            return counters
        }
        throw .invalid("the interface '\(interface)' has vanished from /proc/net/dev")
    }
}
