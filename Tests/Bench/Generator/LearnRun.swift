// Whether a switch learns addresses as fast as they appear, and how many (RFC 2889 sections 5.7, 5.8).
//
//     announce   the known port makes its address known, as the listening port does
//     learn      the learning port sends one frame from each new address to the known port's; a frame
//                that the device refuses is sent again, so that every address is shown to the switch
//     settle     the switch may finish what it does in the background
//     verify     the known port sends one frame to each of the addresses
//
// An address was learned when its frame arrives at the learning port and not at the listening one,
// where only a flooded frame can come. The learning rate counts to the moment at which the known port
// has received the last learning frame, read from its device's counters, so that nothing is added to
// the path and what still waits in a queue is not taken for learned.

import CLinux
import Glibc
import TestSupport
import Wire

struct LearnPlan: Sendable {
    var from: Endpoint
    var to: Endpoint
    var listen: Endpoint
    var addressCount: Int
    var firstAddress: Int
    var rate: Rate
    var verifyRate: Rate
    var settle: Double
    var senderCPU: Int?
    var receiverCPU: Int?
}

struct LearnResult: Encodable {
    /// Shown to the switch.
    let addresses: Int
    /// Of the learning frames, those that the known port received.
    let forwarded: UInt64
    let learnSeconds: Double
    /// Addresses per second.
    let learnRate: Double
    /// Verification frames that arrived where the address is, and those that were flooded as well.
    let received, flooded: UInt64
    /// Addresses whose frames arrived there and only there.
    let learned: UInt64
    /// How often the device refused a frame.
    let rejected: UInt64
    let receiverDropped: UInt64
}

struct LearnRun {
    let plan: LearnPlan
    private let run = UInt32.random(in: .min ... .max)
    private let clock = Clock()
    private let from, to, listen: Attachment
    private let rings: [ReceiveRing]
    private let addresses: [MACAddress]

    init(_ plan: LearnPlan) throws {
        self.plan = plan
        let from = try plan.from.attach()
        let listen = try plan.listen.attach()
        self.from = from
        self.listen = listen
        to = try plan.to.attach()
        let run = run
        rings = [
            try plan.from.inside { try ReceiveRing(index: from.index, run: run, kind: .data) },
            try plan.listen.inside { try ReceiveRing(index: listen.index, run: run, kind: .data) },
        ]
        let first = plan.firstAddress
        addresses = (first..<first + plan.addressCount).map { from.derivedAddress($0) }
    }

    func measure() throws -> LearnResult {
        try to.announce(addresses: 1, run: run, clock)
        try listen.announce(addresses: 1, run: run, clock)
        usleep(50_000)
        let learning = try PinnedThread(cpu: plan.senderCPU) { try learn() }.join()
        usleep(useconds_t(plan.settle * 1e6))
        let receiver = FrameReceiver(rings, flowCount: 1)
        let receiving = try PinnedThread(cpu: plan.receiverCPU) { try receiver.run() }
        let verifying = try PinnedThread(cpu: plan.senderCPU) {
            let frames = sender(at: to, sources: [to.address], destinations: addresses)
            try frames.sendAll(.data, count: addresses.count, at: plan.verifyRate)
            return frames.account.rejected
        }
        let rejected = Result { try verifying.join() }
        receiver.end()
        try receiving.join()
        let received = receiver.accounts[0].received
        let flooded = receiver.accounts[1].received
        return LearnResult(
            addresses: addresses.count, forwarded: learning.forwarded,
            learnSeconds: learning.seconds,
            learnRate: Double(learning.forwarded) / learning.seconds, received: received,
            flooded: flooded, learned: received - min(received, flooded),
            rejected: learning.rejected + (try rejected.get()),
            receiverDropped: receiver.accounts.reduce(0) { $0 + $1.dropped })
    }

    private func sender(
        at port: Attachment, sources: [MACAddress], destinations: [MACAddress]
    ) -> FrameSender {
        FrameSender(
            socket: port.socket, size: TestFrame.minimumSize, run: run,
            addresses: FrameSender.Addresses(sources: sources, destinations: destinations),
            clock: clock)
    }

    /// Shows the addresses to the switch and waits until the last has come through, or nothing has
    /// for a second.
    private func learn() throws -> (seconds: Double, forwarded: UInt64, rejected: UInt64) {
        let frames = sender(at: from, sources: addresses, destinations: [to.address])
        let before = try to.counters().receivedFrames
        let start = Clock.now()
        try frames.sendAll(.warmUp, count: addresses.count, at: plan.rate)
        var forwarded: UInt64 = 0
        var last = Clock.now()
        while forwarded < UInt64(addresses.count), Clock.now() < last + 1_000_000_000 {
            let now = try to.counters().receivedFrames - before
            if now > forwarded {
                forwarded = now
                last = Clock.now()
            }
        }
        return (Double(last - start) / 1e9, forwarded, frames.account.rejected)
    }
}
