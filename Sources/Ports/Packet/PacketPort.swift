import CLinux
import Dataplane
import Glibc
import Synchronization

/// A port on an Ethernet device that exists: a TAP that a hypervisor holds, an end of a veth, a
/// physical NIC.
///
/// Theory of operation
///
/// A packet socket stands beside the device: what the device receives it sees before the host's stack
/// does (who must not see it: ``IngressGuard``), and what is sent by it leaves by the device. Frames
/// cross with a vnet header, so that super-frames and partial checksums pass whole both ways; what the
/// device cannot finish, the kernel does.
///
/// Received frames up to 1652 bytes come in a mapped ring without a system call. Longer ones, which
/// are mostly super-frames, are announced there, in their place of the order, and wait in the socket's
/// queue, whence one recvmmsg(2) brings all that follow each other straight into frame slots. A ring
/// with slots of 64 KiB would save that call, and pin 64 MiB for a thousand frames instead of 2 MiB.
/// TPACKET_V3 packs frames of all lengths densely, but hands over whole blocks only, a millisecond
/// late at best: measured between two veths, it made 0.07 ms of ping's round trip 1.1 to 1.6 ms. What it
/// is better at, small frames flat out (630,000 a second against 540,000, with recvmmsg alone 430,000),
/// is not worth that.
///
/// The ring is looked at in every round while frames come, and announces nothing meanwhile; the worker
/// has itself woken (``arm()``) before it sleeps.
///
/// A VLAN tag that the device or the kernel took off is put back. A device that is down, or gone, is
/// no end: the port is drained and its frames are dropped as `egressDown`. Whether a device comes or
/// goes is for netlink to tell.
package final class PacketPort: Port, @unchecked Sendable {
    // @unchecked: `state` is touched by the owning worker only.

    /// The device's index in its namespace.
    package let index: Int32
    private let receiving: PacketSocket
    private let sending: PacketSocket
    private let ring: PacketRing
    private let receiver: PacketReceiver
    private let sender: PacketSender
    /// Holds the receiving socket while armed; see ``arm()``.
    private let epoll: Int32
    private let state: UnsafeMutablePointer<State>
    private let acceptedOffloads = Atomic<UInt8>(OffloadSet.all.rawValue)
    private let kernelDrops = Atomic<UInt64>(0)

    private struct State {
        var isArmed: Bool
        /// The socket was readable, perhaps by an error only.
        var mayHaveError = false
    }

    /// Takes up the device of that index in the calling thread's network namespace: all or nothing.
    ///
    /// - Parameters:
    ///   - name: the device's name, for errors.
    ///   - mark: what the frames that are sent bear (SO_MARK), so that a guard knows them; or nothing.
    package init(index: Int32, name: String, mark: UInt32? = nil) throws(PacketError) {
        self.index = index
        let socket = try PacketSocket.receiving(device: name)
        var mapped: PacketRing?
        var epoll: Int32 = -1
        do throws(PacketError) {
            let ring = try PacketRing(of: socket.descriptor, device: name)
            mapped = ring
            epoll = try PacketPort.makeEpoll(socket.descriptor, device: name)
            try socket.receive(from: index, device: name)
            sending = try PacketSocket.sending(to: index, device: name, mark: mark)
            self.ring = ring
        } catch {
            if epoll >= 0 { close(epoll) }
            mapped?.unmap()
            close(socket.descriptor)
            throw error
        }
        receiving = socket
        self.epoll = epoll
        receiver = PacketReceiver(socket: socket.descriptor, ring: ring)
        sender = PacketSender(socket: sending.descriptor)
        state = .allocate(capacity: 1)
        state.initialize(to: State(isArmed: true))
    }

    deinit {
        close(epoll)
        ring.unmap()
        close(receiving.descriptor)
        close(sending.descriptor)
        state.deallocate()
    }

    /// What the device's driver lacks, the kernel does; UDP super-frames older kernels (before Linux
    /// 6.2) refuse, which is found out by sending one.
    package var offloads: OffloadSet {
        OffloadSet(rawValue: acceptedOffloads.load(ordering: .relaxed))
    }

    /// Frames that came and were lost because the switch was too slow: the ring was full, or the queue
    /// of long frames. Any thread may ask.
    package var receiveDropped: UInt64 {
        let drops = receiving.takeDropCount()
        return kernelDrops.wrappingAdd(drops, ordering: .relaxed).newValue &+ receiver.lostCount
    }

    package func receive(into burst: inout Burst) -> ReceiveOutcome {
        let outcome = receiver.receive(into: &burst)
        if state.pointee.mayHaveError, burst.count == 0 {
            state.pointee.mayHaveError = false
            receiving.takeError()
        }
        return outcome
    }

    package func releaseBurst() { receiver.release() }

    package var takesSegments: Bool { true }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        if sender.transmit(entries) {
            acceptedOffloads.store(
                OffloadSet.all.subtracting(.uso).rawValue, ordering: .relaxed)
        }
    }

    // MARK: Waiting

    package var pollDescriptor: Int32? { epoll }

    package var isRing: Bool { true }

    package func arm() -> Bool {
        if receiver.hasFrame { return false }
        guard !state.pointee.isArmed else { return true }
        // What came meanwhile makes the descriptor readable at once. Without the memory for it the port
        // is looked at again and again.
        state.pointee.isArmed = watch(EPOLL_CTL_ADD)
        return state.pointee.isArmed
    }

    package func disarm() {
        state.pointee.mayHaveError = true
        guard state.pointee.isArmed else { return }
        state.pointee.isArmed = false
        // While somebody waits for the socket, every frame takes its locks, in the sender's time: 8 %
        // of the frames between two veths.
        watch(EPOLL_CTL_DEL)
    }

    @discardableResult
    private func watch(_ operation: Int32) -> Bool {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        return epoll_ctl(epoll, operation, receiving.descriptor, &event) == 0
    }

    private static func makeEpoll(_ socket: Int32, device: String) throws(PacketError) -> Int32 {
        let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else {
            throw .system(operation: "wait for frames", device: device, errno: errno)
        }
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        guard epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0 else {
            let code = errno
            close(epoll)
            throw .system(operation: "wait for frames", device: device, errno: code)
        }
        return epoll
    }
}
