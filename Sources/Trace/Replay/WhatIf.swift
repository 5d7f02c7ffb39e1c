import Capture
import Dataplane

/// Replays the frames that came into a switch, as a capture file has them, through the switch of
/// another topology: which of them would end otherwise?
///
/// Theory of operation
///
/// A frame of the file is replayed when it was seen on its way in, at an interface whose name is a
/// port's or a tunnel's (or which is said to be one). Addresses are learned from the frames, and age
/// by their stamps. What a frame's fate *was* comes from a second switch, of the topology that was in
/// force, through which the same frames go; or else from the frame's comment, where the capture has
/// the switch's own verdict.
///
/// Both switches know as little at the file's start, so their fates are compared exactly. The switch
/// that captured may have known addresses that the file never shows: where its verdict rests on a
/// known destination that the replay has to flood, the frame is not counted as changed as long as
/// the flood reaches the same port.
///
/// A super-frame's segment size is not in a capture. A TCP frame larger than Ethernet's MTU is taken
/// for a super-frame whose segments fit, and counted: what a smaller MTU does to it is not known.
///
/// Cost: some 100 ns a frame, and no allocation for one; memory for each different pair of fates.
package struct WhatIf: ~Copyable {
    private var candidate: ReplaySwitch
    private var baseline: ReplaySwitch?
    /// The port that frames come by, whatever their interface is called.
    private let port: String?
    private var table = FateTable()
    private var result = WhatIfResult()
    private var interfaces: [Interface] = []
    private var counts: [Pair: Tally] = [:]
    /// The last pair and its count, which is usually the next one's as well.
    private var lastPair = Pair(name: -1, was: 0, wouldBe: 0)
    private var lastTally = Tally()
    private var names: [String] = []
    private var firstStamp: UInt64?
    private var time: UInt64 = 0

    private struct Interface {
        var name: Int32
        var candidate: ReplaySwitch.Entrance
        var baseline: ReplaySwitch.Entrance
        var skipped: UInt64 = 0
        var lastPacketID: UInt64?
    }

    private struct Pair: Hashable {
        var name: Int32
        var was: Int32
        var wouldBe: Int32
    }

    private struct Tally {
        var frames: UInt64 = 0
        var changed: UInt64 = 0
        var firstFrame: UInt64 = 0
    }

    package init(
        candidate: OfflineSwitch, baseline: OfflineSwitch? = nil, port: String? = nil
    ) throws(TraceError) {
        self.candidate = ReplaySwitch(candidate)
        self.baseline = baseline.map { ReplaySwitch($0) }
        self.port = port
        if let port {
            let known = candidate.names.names + (baseline?.names.names ?? [])
            guard known.contains(port) else { throw .unknownPort(port, known: known) }
        }
        result.baseline = baseline == nil ? .none : .topology
    }

    // MARK: Frame by frame

    /// Replays one frame of the file.
    package mutating func replay(_ frame: CapturedFrame, _ known: [CaptureInterface]) {
        result.frames &+= 1
        while interfaces.count <= frame.interface { addInterface(known[interfaces.count]) }
        guard frame.direction != .egress else {
            result.outbound &+= 1
            return
        }
        if let id = frame.packetID {
            // A capture may have a block for a frame that came in and another for its drop.
            guard interfaces[frame.interface].lastPacketID != id else {
                result.repeated &+= 1
                return
            }
            interfaces[frame.interface].lastPacketID = id
        }
        if let stamp = frame.timestampNanoseconds {
            let first = firstStamp ?? stamp
            firstStamp = first
            // Frames of several interfaces are not always in order.
            if stamp > first { time = max(time, stamp - first) }
        }
        // Fewer bytes than its headers have, of a frame that had more.
        guard frame.bytes.count >= min(Int(frame.originalByteCount), Replay.headByteCount / 2)
        else {
            result.tooShort &+= 1
            return
        }
        let interface = interfaces[frame.interface]
        var was = FateTable.unsaid
        if baseline == nil {
            was = table.number(recorded: frame.commentBytes)
        }
        let isSuperFrame = mayBeSuperFrame(frame, recorded: was)
        if isSuperFrame { result.superFrames &+= 1 }
        if baseline != nil {
            switch interface.baseline {
            case .ingress(let ingress):
                was =
                    baseline?.fate(
                        frame.bytes, originalByteCount: frame.originalByteCount, from: ingress,
                        isSuperFrame: isSuperFrame, at: time, in: &table
                    ).number ?? FateTable.unsaid
            case .noPort: was = table.number(of: .noPort)
            case .ambiguous: break
            }
        }
        let wouldBe: (number: Int32, isUnknown: Bool)
        switch interface.candidate {
        case .ingress(let ingress):
            wouldBe = candidate.fate(
                frame.bytes, originalByteCount: frame.originalByteCount, from: ingress,
                isSuperFrame: isSuperFrame, at: time, in: &table)
        case .noPort:
            wouldBe = (table.number(of: .noPort), false)
            // Neither topology knows it, and the capture says nothing: somebody else's interface.
            guard was != FateTable.unsaid, was != wouldBe.number else {
                interfaces[frame.interface].skipped &+= 1
                return
            }
        case .ambiguous:
            interfaces[frame.interface].skipped &+= 1
            return
        }
        result.replayed &+= 1
        count(frame.number, interface.name, was, wouldBe)
    }

    private mutating func count(
        _ frame: UInt64, _ name: Int32, _ was: Int32, _ wouldBe: (number: Int32, isUnknown: Bool)
    ) {
        let pair = Pair(name: name, was: was, wouldBe: wouldBe.number)
        var isChange = was != FateTable.unsaid && was != wouldBe.number
        if was != FateTable.unsaid { result.compared &+= 1 }
        if isChange, baseline == nil {
            switch comparison(was, wouldBe) {
            case .differs: break
            case .same: isChange = false
            case .unlocated:
                isChange = false
                result.unlocated &+= 1
            case .incomparable:
                isChange = false
                result.compared &-= 1
            }
        }
        if pair != lastPair {
            if lastTally.frames > 0 { counts[lastPair] = lastTally }
            lastPair = pair
            lastTally = counts[pair] ?? Tally()
        }
        lastTally.frames &+= 1
        guard isChange else { return }
        lastTally.changed &+= 1
        if lastTally.firstFrame == 0 { lastTally.firstFrame = frame }
    }

    private enum Comparison { case same, differs, unlocated, incomparable }

    /// Compares the verdict of a switch that may have known more addresses than the file shows.
    private func comparison(
        _ was: Int32, _ wouldBe: (number: Int32, isUnknown: Bool)
    ) -> Comparison {
        switch (table[was], table[wouldBe.number]) {
        case (.floodedTo(let count), .flooded(let ports)):
            return count ?? ports.count == ports.count ? .same : .differs
        case (.floodedTo, .forwarded): return .same
        case (.forwarded(let port), .flooded(let ports)) where wouldBe.isUnknown:
            return ports.contains(port) ? .unlocated : .differs
        case (.dropped(let reason), _):
            switch reason {
            // Load, and the moment, decided this and not the topology.
            case .noFrameSlot, .truncatedRead, .egressFull, .egressRejected, .egressDown,
                .egressHandoffFull, .invalidOffload:
                return .incomparable
            case .hairpin, .isolated, .splitHorizon, .notMember, .sourcePinned:
                return wouldBe.isUnknown ? .unlocated : .differs
            default: return .differs
            }
        case (.droppedOtherwise, _), (.consumed, _): return .incomparable
        default: return .differs
        }
    }

    /// Whether a frame is taken to stand for segments: TCP that does not fit Ethernet's MTU, and UDP
    /// beyond any, unless the switch that captured it found it too large.
    private func mayBeSuperFrame(_ frame: CapturedFrame, recorded: Int32) -> Bool {
        guard frame.originalByteCount > 1518 else { return false }
        if recorded != FateTable.unsaid, table[recorded] == .dropped(.oversize) { return false }
        switch WhatIf.ipProtocol(frame.bytes) {
        case 6: return true
        case 17: return frame.originalByteCount > 9234
        default: return false
        }
    }

    private static func ipProtocol(_ bytes: UnsafeRawBufferPointer) -> UInt8? {
        var place = 12
        while bytes.count >= place + 6, bytes[place] == 0x81, bytes[place + 1] == 0 { place += 4 }
        guard bytes.count > place + 11 else { return nil }
        switch (bytes[place], bytes[place + 1]) {
        case (0x08, 0x00): return bytes[place + 11]
        case (0x86, 0xDD): return bytes[place + 8]
        default: return nil
        }
    }

    private mutating func addInterface(_ interface: CaptureInterface) {
        // Of a file without names, the number.
        let name = port ?? interface.name ?? "interface \(interfaces.count)"
        let place: Int
        if let known = names.firstIndex(of: name) {
            place = known
        } else {
            place = names.count
            names.append(name)
        }
        interfaces.append(
            Interface(
                name: Int32(place), candidate: candidate.entrance(named: name),
                baseline: baseline?.entrance(named: name) ?? .noPort))
    }

    // MARK: The end

    /// What came of all frames.
    package consuming func finish(cutOff: String? = nil) -> WhatIfResult {
        if lastTally.frames > 0 { counts[lastPair] = lastTally }
        result.cutOff = cutOff
        if baseline == nil, result.compared > 0 { result.baseline = .capture }
        var fates: [Pair: UInt64] = [:]
        for (pair, tally) in counts {
            fates[Pair(name: pair.name, was: 0, wouldBe: pair.wouldBe), default: 0] += tally.frames
            guard tally.changed > 0 else { continue }
            result.changes.append(
                WhatIfResult.Change(
                    port: names[Int(pair.name)], was: table[pair.was],
                    wouldBe: table[pair.wouldBe], frames: tally.changed,
                    firstFrame: tally.firstFrame))
        }
        result.changes.sort { ($1.frames, $0.firstFrame) < ($0.frames, $1.firstFrame) }
        result.fates = fates.map {
            WhatIfResult.Count(
                port: names[Int($0.name)], fate: table[$0.wouldBe], frames: $1)
        }
        result.fates.sort {
            ($1.frames, $0.port, "\($0.fate)") < ($0.frames, $1.port, "\($1.fate)")
        }
        result.unknownInterfaces = skipped {
            if case .noPort = $0 { true } else { false }
        }
        result.ambiguousInterfaces = skipped {
            if case .ambiguous = $0 { true } else { false }
        }
        return result
    }

    private func skipped(
        _ isMeant: (ReplaySwitch.Entrance) -> Bool
    ) -> [WhatIfResult.Skipped] {
        var frames: [Int32: UInt64] = [:]
        for interface in interfaces where interface.skipped > 0 && isMeant(interface.candidate) {
            frames[interface.name, default: 0] += interface.skipped
        }
        return frames.sorted { $0.key < $1.key }.map {
            WhatIfResult.Skipped(interface: names[Int($0.key)], frames: $0.value)
        }
    }
}
