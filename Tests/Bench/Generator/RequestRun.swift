// Requests from one interface to another and the replies to them.
//
// What is timed is a round trip: from when the request was due to when the reply is in the requester's
// hands. Paced, requests are due at a fixed rate whether or not earlier replies have come (open loop);
// with rate `max`, each follows the reply to the one before (closed loop).
//
// How the ends wait is part of what is measured, so it is chosen:
//
//     block   requester and responder are threads that sleep for a frame, as programs do; a round trip
//             then contains two wake-ups of a sleeping thread, which are not the switch's
//     poll    one thread looks after both ends without ever sleeping: nothing but the switch and the
//             kernel's path to and from it remains. Only so can there be a load as well, which the
//             same thread sends at its own schedule between the looks, from requester to responder.

import CLinux
import Glibc
import Synchronization
import TestSupport
import Wire

struct RequestPlan: Sendable {
    enum Waiting: String, CaseIterable, Sendable { case block, poll }

    var from: Endpoint
    var to: Endpoint
    var size: Int
    var rate: Rate
    var seconds: Double
    /// Frames per second besides.
    var load: Double?
    var loadSize: Int
    var waiting: Waiting
    var requesterCPU: Int?
    var responderCPU: Int?
}

struct RequestResult: Encodable {
    /// Replies.
    let count: UInt64
    /// Requests.
    let sent: UInt64
    let rejected: UInt64
    let lost: UInt64
    let seconds: Double
    let rate: Double
    let latency: LatencySummary
    /// Of the load, frames per second that the device took and refused. Null without one.
    let loadRate, loadRejectedRate: Double?
}

final class RequestRun {
    /// How much earlier than the requests the load begins, in nanoseconds.
    private static let leadIn: UInt64 = 300_000_000

    private let plan: RequestPlan
    private let run = UInt32.random(in: .min ... .max)
    private let clock = Clock()
    private let requester, responder: Attachment
    private let requests, replies: FrameSocket
    private let sender, loadSender: FrameSender
    private var load: Schedule?
    private var latency = LatencyHistogram()
    private let isEnding = Atomic(false)

    init(_ plan: RequestPlan) throws {
        self.plan = plan
        let run = run
        let requester = try plan.from.attach()
        let responder = try plan.to.attach()
        self.requester = requester
        self.responder = responder
        replies = try plan.from.inside {
            try FrameSocket(index: requester.index, run: run, kind: .reply)
        }
        requests = try plan.to.inside {
            try FrameSocket(index: responder.index, run: run, kind: .request)
        }
        let addresses = FrameSender.Addresses(
            sources: [requester.address], destinations: [responder.address])
        sender = FrameSender(
            socket: requester.socket, size: plan.size, run: run, addresses: addresses, clock: clock)
        loadSender = FrameSender(
            socket: requester.socket, size: plan.loadSize, run: run, addresses: addresses,
            clock: clock)
    }

    func measure() throws -> RequestResult {
        try responder.announce(addresses: 1, run: run, clock)
        try requester.announce(addresses: 1, run: run, clock)
        usleep(50_000)
        let responding =
            plan.waiting == .poll
            ? nil : try PinnedThread(cpu: plan.responderCPU) { try self.respond() }
        let requesting = try PinnedThread(cpu: plan.requesterCPU) { try self.request() }
        let outcome = Result { try requesting.join() }
        isEnding.store(true, ordering: .releasing)
        try responding?.join()
        let seconds = try outcome.get()
        guard !clock.wasSet else {
            throw GeneratorError.invalid("the clock was set during the run; repeat it")
        }
        let sent = sender.account.sent
        let loadSeconds = seconds + Double(RequestRun.leadIn) / 1e9
        return RequestResult(
            count: latency.count, sent: sent, rejected: sender.account.rejected,
            lost: sent - min(sent, latency.count), seconds: seconds,
            rate: Double(latency.count) / seconds, latency: LatencySummary(latency),
            loadRate: plan.load.map { _ in Double(loadSender.account.sent) / loadSeconds },
            loadRejectedRate: plan.load.map { _ in
                Double(loadSender.account.rejected) / loadSeconds
            })
    }

    /// The requester's thread; returns how long it took, in seconds.
    private func request() throws -> Double {
        // The load begins a little earlier, so that no request sees a switch that is waking up.
        let begin = Clock.now()
        let start = begin + RequestRun.leadIn
        let end = start + UInt64(plan.seconds * 1e9)
        load = plan.load.map { Schedule(perSecond: $0, from: begin, to: end) }
        try takeReplies(until: start) { false }
        switch plan.rate {
        case .paced(let perSecond):
            var schedule = Schedule(perSecond: perSecond, from: start, to: end)
            while let due = schedule.nextDue {
                try takeReplies(until: due) { false }
                try sender.sendDue(.request, &schedule)
            }
            try takeReplies(until: Clock.now() + 100_000_000) { false }
        case .max:
            var now = Clock.now()
            while now < end {
                let answered = latency.count
                if try sender.sendOne(.request, due: now) {
                    try takeReplies(until: now + 100_000_000) { self.latency.count > answered }
                }
                now = Clock.now()
            }
        }
        return Double(end - start) / 1e9
    }

    /// Takes replies, and sees to load and responder where they are this thread's, until a time has
    /// come or `isDone` says so.
    private func takeReplies(until time: UInt64, _ isDone: () -> Bool) throws {
        let lateness: UInt64 = 150_000
        while true {
            if plan.waiting == .poll { try poll() }
            while try replies.receive() != nil {
                let now = clock.realTime(of: Clock.now())
                let due = TestFrame.time(replies.buffer)
                latency.record(now > due ? now - due : 0)
            }
            if isDone() { return }
            let now = Clock.now()
            if now >= time { return }
            if plan.waiting == .block, time - now > lateness {
                replies.sleep(until: time - lateness)
            }
        }
    }

    private func poll() throws {
        if load != nil { try loadSender.sendDue(.warmUp, &load!) }
        while let byteCount = try requests.receive() { try reply(byteCount) }
    }

    /// The responder's thread.
    private func respond() throws {
        while !isEnding.load(ordering: .acquiring) {
            requests.sleep(until: Clock.now() + 100_000_000)
            while let byteCount = try requests.receive() { try reply(byteCount) }
        }
    }

    /// Turns the request in the buffer round.
    private func reply(_ byteCount: Int) throws {
        let frame = requests.buffer
        requester.address.store(to: frame)
        responder.address.store(to: frame + 6)
        frame.storeBytes(
            of: TestFrame.Kind.reply.rawValue, toByteOffset: TestFrame.kindOffset, as: UInt8.self)
        guard send(responder.socket, frame, byteCount, 0) < 0 else { return }
        guard errno == ENOBUFS else {
            throw GeneratorError.system(operation: "send a reply", errno: errno)
        }
    }
}
