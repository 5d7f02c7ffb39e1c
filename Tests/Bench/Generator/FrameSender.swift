// The sending side: one thread, one packet socket, sendmmsg(2) of up to 64 frames.
//
// Flat out, bursts of 64 follow each other. When the device refuses a frame (ENOBUFS: the TAP's queue
// is full) the frame was not sent; it is counted as rejected and tried again.
//
// Paced, frame n is due at start + n / rate, whatever became of those before it (open loop): a sender
// that is late sends what is due in one burst and stamps each frame with the time when it was due, so
// that a switch which stalls the sender cannot hide its latency (no coordinated omission). A refused
// frame is not tried again: it is a frame that the switch was too slow to take.
//
// A mapped transmit ring (PACKET_TX_RING) is not used: a TAP releases the sender's buffer when it
// queues the frame, not when the frame is read, so a ring's slot would be overwritten while the frame
// waits; and its frames are built of page fragments, which no ordinary sender makes.

import CLinux
import Glibc
import Wire

final class FrameSender {
    static let burst = 64

    /// Addresses that the frames go round: frame n is from source n modulo their number, to destination
    /// n modulo theirs, and belongs to flow n modulo the number of flows.
    struct Addresses {
        var sources: [MACAddress]
        var destinations: [MACAddress]
        var flowCount = 1
        /// VLAN IDs, one for each destination, with which frames to them are tagged; or none.
        var vlans: [UInt16] = []
    }

    struct Account {
        /// Taken by the device.
        var sent: UInt64 = 0
        /// Refused by the device: its queue was full.
        var rejected: UInt64 = 0

        static func - (later: Account, earlier: Account) -> Account {
            Account(sent: later.sent - earlier.sent, rejected: later.rejected - earlier.rejected)
        }
    }

    private let socket: Int32
    private let run: UInt32
    private let addresses: Addresses
    private let clock: Clock
    private let stride: Int
    private let memory: UnsafeMutableRawPointer
    private let pieces: UnsafeMutablePointer<iovec>
    private let messages: UnsafeMutablePointer<mmsghdr>

    private(set) var account = Account()

    init(
        socket: Int32, size: Int, run: UInt32, addresses: Addresses, clock: Clock
    ) {
        precondition(
            addresses.vlans.isEmpty || addresses.vlans.count == addresses.destinations.count)
        self.socket = socket
        self.run = run
        self.addresses = addresses
        self.clock = clock
        stride = (size + 63) / 64 * 64
        memory = .allocate(byteCount: stride * FrameSender.burst, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: stride * FrameSender.burst)
        pieces = .allocate(capacity: FrameSender.burst)
        messages = .allocate(capacity: FrameSender.burst)
        for place in 0..<FrameSender.burst {
            (pieces + place).initialize(
                to: iovec(iov_base: memory + place * stride, iov_len: size))
            var message = mmsghdr()
            message.msg_hdr.msg_iov = pieces + place
            message.msg_hdr.msg_iovlen = 1
            (messages + place).initialize(to: message)
        }
    }

    deinit {
        memory.deallocate()
        pieces.deallocate()
        messages.deallocate()
    }

    /// Sends frames of one kind from `start` to `end`, in monotonic time.
    func send(
        _ kind: TestFrame.Kind, at rate: Rate, from start: UInt64, to end: UInt64
    ) throws(GeneratorError) {
        Clock.wait(until: start)
        switch rate {
        case .max:
            var now = Clock.now()
            while now < end {
                try sendBurst(FrameSender.burst, kind) { _ in now }
                now = Clock.now()
            }
        case .paced(let perSecond):
            var schedule = Schedule(perSecond: perSecond, from: start, to: end)
            while let due = schedule.nextDue {
                Clock.wait(until: due)
                try sendDue(kind, &schedule)
            }
        }
    }

    /// Sends so many frames, each until it is taken.
    func sendAll(_ kind: TestFrame.Kind, count: Int, at rate: Rate) throws(GeneratorError) {
        let start = Clock.now()
        switch rate {
        case .max:
            let goal = account.sent + UInt64(count)
            while account.sent < goal {
                let now = Clock.now()
                try sendBurst(min(FrameSender.burst, Int(goal - account.sent)), kind) { _ in now }
            }
        case .paced(let perSecond):
            var schedule = Schedule(perSecond: perSecond, from: start, count: count)
            while let due = schedule.nextDue {
                Clock.wait(until: due)
                let sent = account.sent
                let plan = schedule
                try sendBurst(
                    min(plan.dueCount(at: Clock.now()), FrameSender.burst), kind
                ) { place in plan.due(plan.offered + place) }
                schedule.offered += Int(account.sent - sent)
            }
        }
    }

    /// Sends what is due of a schedule by now, one burst of it at most.
    @inline(__always)
    func sendDue(_ kind: TestFrame.Kind, _ schedule: inout Schedule) throws(GeneratorError) {
        let count = schedule.dueCount(at: Clock.now())
        guard count > 0 else { return }
        let plan = schedule
        schedule.offered += try sendBurst(min(count, FrameSender.burst), kind) { place in
            plan.due(plan.offered + place)
        }
    }

    /// Sends one frame, stamped with a monotonic time; false when it was refused.
    func sendOne(_ kind: TestFrame.Kind, due: UInt64) throws(GeneratorError) -> Bool {
        let sent = account.sent
        try sendBurst(1, kind) { _ in due }
        return account.sent > sent
    }

    /// Sends up to `count` frames, the first refused one being the last to be tried; returns how many
    /// were tried.
    @discardableResult @inline(__always)
    private func sendBurst(
        _ count: Int, _ kind: TestFrame.Kind, time: (_ place: Int) -> UInt64
    ) throws(GeneratorError) -> Int {
        for place in 0..<count {
            let number = account.sent + UInt64(place)
            let sources = addresses.sources
            let destinations = addresses.destinations
            let flowCount = UInt64(addresses.flowCount)
            let target = Int(number % UInt64(destinations.count))
            TestFrame.write(
                to: memory + place * stride,
                vlan: addresses.vlans.isEmpty ? nil : addresses.vlans[target],
                destination: destinations[target],
                source: sources[Int(number % UInt64(sources.count))], run: run, kind: kind,
                flow: Int(number % flowCount), sequence: number / flowCount,
                time: clock.realTime(of: time(place)))
        }
        let sent = sendmmsg(socket, messages, UInt32(count), 0)
        if sent < 0 {
            guard errno == ENOBUFS || errno == EAGAIN || errno == EINTR else {
                let hint = errno == EMSGSIZE ? " longer than the interface's MTU and 14 bytes" : ""
                throw .system(operation: "send frames\(hint)", errno: errno)
            }
            account.rejected += 1
            return 1
        }
        account.sent += UInt64(sent)
        guard sent < count else { return count }
        account.rejected += 1
        return Int(sent) + 1
    }
}
