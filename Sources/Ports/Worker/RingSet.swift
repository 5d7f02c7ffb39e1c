import Dataplane

/// The ports of one worker that share memory with their peers, and which of them it looks at.
///
/// Theory of operation
///
/// A peer puts frames into a ring without a system call, and looking whether it has costs a load of
/// one word. So a port that has become *active*, by its notification, is looked at in every round
/// and its peer told that notifications are not wanted; a busy port then costs neither side a system
/// call. An active port that stays empty for ``idleLimit`` while others are busy is armed again and
/// left alone, so that a thousand quiet guests do not slow down one that talks. Before the worker
/// sleeps, all are armed: each says then whether something came meanwhile, in which case there is no
/// sleep.
///
/// One thread. A round costs one call for each active port.
struct RingSet {
    /// Nanoseconds without a frame after which an active port is armed.
    static let idleLimit: UInt64 = 1_000_000

    private struct Member {
        var number: UInt16
        var port: any Port
        var lastFrame: UInt64
        var isActive: Bool
    }

    private var members: [Member] = []
    /// Places of active members.
    private var active: [Int] = []
    /// By port number: the place among the members, or -1.
    private var places: [Int] = []

    /// Takes up the ports of a new snapshot. Those that are new are active at first, so that what
    /// was in their rings before is found.
    mutating func replace(_ ports: [(number: UInt16, port: any Port)]) {
        let old = members
        members = ports.map { number, port in
            if let known = old.first(where: { $0.number == number }), known.port === port {
                return known
            }
            return Member(number: number, port: port, lastFrame: 0, isActive: true)
        }
        places = [Int](repeating: -1, count: Int(members.map(\.number).max() ?? 0) + 1)
        active = []
        for (place, member) in members.enumerated() {
            places[Int(member.number)] = place
            guard member.isActive else { continue }
            member.port.disarm()
            active.append(place)
        }
    }

    /// Makes a port active whose descriptor has become readable; false for a port that is none of
    /// these.
    mutating func notified(_ number: UInt16) -> Bool {
        guard Int(number) < places.count, places[Int(number)] >= 0 else { return false }
        let place = places[Int(number)]
        members[place].port.disarm()
        if !members[place].isActive {
            members[place].isActive = true
            members[place].lastFrame = 0
            active.append(place)
        }
        return true
    }

    /// Serves a burst of every active port; true when one had frames.
    mutating func serve(with worker: inout Worker, at time: UInt64) -> Bool {
        var foundAny = false
        var position = 0
        while position < active.count {
            let place = active[position]
            _ = worker.serve(port: members[place].number)
            if worker.receivedCount > 0 {
                members[place].lastFrame = time
                foundAny = true
            } else if members[place].lastFrame == 0 {
                members[place].lastFrame = time
            } else if time &- members[place].lastFrame > RingSet.idleLimit,
                members[place].port.arm()
            {
                members[place].isActive = false
                active.swapAt(position, active.count - 1)
                active.removeLast()
                continue
            }
            position += 1
        }
        return foundAny
    }

    /// Arms every active port; false when one has something to receive.
    mutating func arm() -> Bool {
        while let place = active.last {
            guard members[place].port.arm() else { return false }
            members[place].isActive = false
            active.removeLast()
        }
        return true
    }
}
