import CLinux
import Glibc

/// Binds a packet socket to an interface, for frames of one EtherType; with 0 it receives nothing.
/// Gives what bind(2) gives.
package func bindPacketSocket(_ socket: Int32, index: Int32, etherType: UInt16) -> Int32 {
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = etherType.bigEndian
    address.sll_ifindex = index
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(socket, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
        }
    }
}

/// Has the kernel put a socket's frames through a classic BPF program. Gives what setsockopt(2)
/// gives.
package func attachFilter(_ program: [sock_filter], to socket: Int32) -> Int32 {
    var program = program
    return program.withUnsafeMutableBufferPointer { instructions in
        var filter = sock_fprog(
            len: UInt16(instructions.count), filter: instructions.baseAddress)
        return setsockopt(
            socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
            socklen_t(MemoryLayout<sock_fprog>.size))
    }
}
