// One run of frames from one interface to others.
//
//     announce   every receiver sends frames from each of its addresses: the switch learns them
//     warm up    traffic that counts for nothing
//     measure    traffic that counts
//     drain      until nothing more arrives
//
// Counted by `frames`, a packet socket at each receiver sees each frame, and the result is exact: the
// frames sent while measuring are marked, and lost is what never arrived of them. Counted by
// `device`, nothing is added to the path; the rate is what the interface counted while measuring, and
// lost is what was sent and not received over warm-up, measurement and drain. A stray frame of another
// protocol could hide a lost one there; it gives itself away by its size, and `foreign` tells.

import CLinux
import Glibc
import TestSupport
import Wire

struct FlowPlan: Sendable {
    enum Count: String, CaseIterable, Sendable { case device, frames }

    var from: Endpoint
    var to: [Endpoint]
    var size: Int
    var rate: Rate
    var seconds: Double
    var warmUp: Double
    var flowCount: Int
    var sourceCount: Int
    var destination: MACAddress?
    /// To go round with tagged frames, in place of the receivers' addresses; or none.
    var targets: [Target] = []
    var count: Count
    var hasLatency: Bool
    var senderCPU: Int?
    var receiverCPU: Int?
}

/// An address that the receivers do not have themselves, in a VLAN.
struct Target: Sendable {
    let vlan: UInt16
    let address: MACAddress
}

struct FlowResult: Encodable {
    /// Taken by the sending device while measuring.
    let sent: UInt64
    /// Of those, refused at first because the device's queue was full. Not in `sent`.
    let rejected: UInt64
    /// What the sending device counted as dropped on the way out while measuring; where the kernel
    /// tells the sender, the same frames as `rejected`.
    let queueDropped: UInt64
    let received: UInt64
    let receivedPerPort: [UInt64]
    /// The measuring time.
    let seconds: Double
    let sentRate: Double
    let receivedRate: Double
    /// Frames per second that the sender tried to send, in the time it had.
    let frameRateAchieved: Double
    let lost: UInt64
    /// Whether a receiving device counted frames of another size than the run's: then its count is not
    /// exact. Null when frames are counted one by one.
    let foreign: Bool?
    /// Null when counted by device.
    let reordered, duplicated: UInt64?
    /// Lost because the receiver was too slow. In `lost`, but not the switch's fault.
    let receiverDropped: UInt64?
    let latency: LatencySummary?
}

struct FlowRun {
    let plan: FlowPlan
    private let run = UInt32.random(in: .min ... .max)
    private let sender: Attachment
    private let receivers: [Attachment]
    private let rings: [ReceiveRing]

    init(_ plan: FlowPlan) throws {
        self.plan = plan
        sender = try plan.from.attach()
        receivers = try plan.to.map { try $0.attach() }
        let run = run
        rings =
            plan.count == .device
            ? []
            : try zip(plan.to, receivers).map { endpoint, attachment in
                try endpoint.inside {
                    try ReceiveRing(index: attachment.index, run: run, kind: .data)
                }
            }
    }

    func measure() throws -> FlowResult {
        let clock = Clock()
        for (index, receiver) in receivers.enumerated() {
            let count = (plan.flowCount - index + receivers.count - 1) / receivers.count
            try receiver.announce(addresses: max(1, count), run: run, clock)
        }
        usleep(50_000)
        let receiver = FrameReceiver(rings, flowCount: plan.flowCount)
        let receiving =
            rings.isEmpty ? nil : try PinnedThread(cpu: plan.receiverCPU) { try receiver.run() }
        defer { receiver.end() }
        let sending = try PinnedThread(cpu: plan.senderCPU) { try send(clock) }
        let outcome = Result { try sending.join() }
        receiver.end()
        try receiving?.join()
        let sent = try outcome.get()
        if rings.isEmpty { usleep(200_000) }
        let drained = try receivers.map { try $0.counters() }
        guard !clock.wasSet else {
            throw GeneratorError.invalid("the clock was set during the run; repeat it")
        }
        return result(sent, drained: drained, receiver)
    }

    /// What the sending thread saw at the beginning, before and after measuring.
    private struct Sent {
        struct Mark {
            var time: UInt64 = 0
            var account = FrameSender.Account()
            var device = InterfaceCounters()
            var receivers: [InterfaceCounters] = []
        }
        var begin = Mark()
        var from = Mark()
        var to = Mark()
    }

    private func send(_ clock: Clock) throws -> Sent {
        var addresses = FrameSender.Addresses(
            sources: (0..<Swift.max(plan.flowCount, plan.sourceCount)).map {
                sender.derivedAddress($0)
            },
            destinations: plan.destination.map { [$0] }
                ?? (0..<plan.flowCount).map { destination(of: $0) },
            flowCount: plan.flowCount)
        if !plan.targets.isEmpty {
            addresses.destinations = plan.targets.map(\.address)
            addresses.vlans = plan.targets.map(\.vlan)
        }
        let frames = FrameSender(
            socket: sender.socket, size: plan.size, run: run, addresses: addresses, clock: clock)
        func mark() throws -> Sent.Mark {
            Sent.Mark(
                time: Clock.now(), account: frames.account, device: try sender.counters(),
                receivers: try receivers.map { try $0.counters() })
        }
        var sent = Sent()
        sent.begin = try mark()
        if plan.warmUp > 0 {
            let start = Clock.now()
            try frames.send(
                .warmUp, at: plan.rate, from: start, to: start + UInt64(plan.warmUp * 1e9))
        }
        sent.from = try mark()
        let start = Clock.now()
        try frames.send(.data, at: plan.rate, from: start, to: start + UInt64(plan.seconds * 1e9))
        sent.to = try mark()
        return sent
    }

    /// Flow f ends at receiver f modulo their number, at one of its addresses.
    private func destination(of flow: Int) -> MACAddress {
        receivers[flow % receivers.count].derivedAddress(flow / receivers.count)
    }

    private func result(
        _ sent: Sent, drained: [InterfaceCounters], _ receiver: FrameReceiver
    ) -> FlowResult {
        let account = sent.to.account - sent.from.account
        let seconds = Double(sent.to.time - sent.from.time) / 1e9
        let copies: UInt64 = plan.destination?.isMulticast == true ? UInt64(receivers.count) : 1
        let perPort: [UInt64]
        let lost: UInt64
        var foreign: Bool?
        if rings.isEmpty {
            perPort = zip(sent.to.receivers, sent.from.receivers).map { ($0 - $1).receivedFrames }
            let counts = zip(drained, sent.begin.receivers).map { $0 - $1 }
            foreign = counts.contains { $0.receivedBytes != $0.receivedFrames * UInt64(plan.size) }
            let all = counts.reduce(0) { $0 + $1.receivedFrames }
            let expected = (sent.to.account - sent.begin.account).sent * copies
            lost = expected > all ? expected - all : 0
        } else {
            perPort = receiver.accounts.map(\.received)
            let all = perPort.reduce(0, +)
            lost = account.sent * copies > all ? account.sent * copies - all : 0
        }
        let received = perPort.reduce(0, +)
        func total(_ value: (FrameReceiver.Account) -> UInt64) -> UInt64? {
            rings.isEmpty ? nil : receiver.accounts.reduce(0) { $0 + value($1) }
        }
        return FlowResult(
            sent: account.sent, rejected: account.rejected,
            queueDropped: (sent.to.device - sent.from.device).transmitDropped,
            received: received, receivedPerPort: perPort, seconds: seconds,
            sentRate: Double(account.sent) / seconds, receivedRate: Double(received) / seconds,
            frameRateAchieved: Double(account.sent + account.rejected) / seconds, lost: lost,
            foreign: foreign, reordered: total(\.reordered), duplicated: total(\.duplicated),
            receiverDropped: total(\.dropped),
            latency: plan.hasLatency ? LatencySummary(receiver.latency) : nil)
    }
}
