/// Where a packed ring stands, read from the ring itself.
///
/// Theory of operation
///
/// A front-end that lost its back-end tells the next one where to go on. Of a split ring QEMU knows it,
/// since the used ring counts; of a packed ring it knows only where it was when the device started, and
/// that position is stale (its `virtio_queue_packed_restore_last_avail_idx` says so). But every
/// descriptor says of itself in which round it was made available or used, so that a position can be
/// proved wrong, and the right one found.
///
/// In round `w` (0 or 1) a descriptor is *available* with AVAIL = w, USED = !w, and *used* with both
/// = w. Chains are used in order, by a mark on their first descriptor, so the ring is one of
///
///     used in w … available in w … used in the round before
///     available in the next round … used in w … available in w
///
/// with the position where `used in w` ends; any part may be missing. A chain of several descriptors
/// leaves all but its first as if available, which makes other patterns, or these with another end:
/// therefore the ring is believed only against a position that cannot be:
///
///  - its descriptor was used in its round already;
///  - the one before was not consumed in that round;
///  - more descriptors before it look as if passed over than a chain has.
///
/// A position that could be is kept. Cost: each descriptor's flags once. The driver may go on
/// meanwhile, which can make a pattern that is none: then nothing is said.
///
/// Source: virtio 1.3, section 2.8.
struct PackedRingPosition {
    private enum Mark: Equatable {
        case available(round: Bool)
        case used(round: Bool)

        /// The round in which the driver wrote it last, or the device took it.
        var round: Bool {
            switch self {
            case .available(let round), .used(let round): round
            }
        }
    }

    private static let availableFlag: UInt16 = 1 << 7
    private static let usedFlag: UInt16 = 1 << 15
    /// More descriptors than any driver's chain has (Linux: 19), and more than a buffer to receive into
    /// has where buffers are merged (a header and the rest, where they are apart).
    private static let longestChain = 64
    private static let longestMergeable = 2

    private let marks: [Mark]

    /// - Parameter descriptors: `size` of 16 bytes each.
    init(_ descriptors: UnsafeRawPointer, size: Int) {
        marks = (0..<size).map { place in
            let flags = UInt16(
                littleEndian: descriptors.load(fromByteOffset: 16 * place + 14, as: UInt16.self))
            let isAvailable = flags & PackedRingPosition.availableFlag != 0
            let isUsed = flags & PackedRingPosition.usedFlag != 0
            return isAvailable == isUsed
                ? .used(round: isUsed) : .available(round: isAvailable)
        }
    }

    /// The position to go on from.
    ///
    /// - Parameters:
    ///   - claimed: what the front-end says, in 16 bits: the place, and bit 15 the round.
    ///   - isMergeable: whether the ring is of buffers to receive into that are merged.
    func corrected(_ claimed: UInt16, isMergeable: Bool) -> UInt16 {
        guard Int(claimed & 0x7FFF) < marks.count, !canBe(claimed, isMergeable: isMergeable),
            let found
        else { return claimed }
        return found
    }

    private func canBe(_ claimed: UInt16, isMergeable: Bool) -> Bool {
        let place = Int(claimed & 0x7FFF)
        let round = claimed & 0x8000 != 0
        if marks[place] == .used(round: round) { return false }
        // A new ring is all zeros, as if used in round 0.
        let roundBefore = place > 0 ? round : !round
        let before = marks[place > 0 ? place - 1 : marks.count - 1]
        if before.round != roundBefore { return false }
        var count = 0
        while count < marks.count {
            let other = place - 1 - count
            let consumed = other >= 0 ? round : !round
            guard marks[other >= 0 ? other : other + marks.count] == .available(round: consumed)
            else { break }
            count += 1
        }
        return count
            <= (isMergeable
                ? PackedRingPosition.longestMergeable : PackedRingPosition.longestChain)
    }

    /// The position that the marks say; nil when they are no pattern of whole buffers.
    var found: UInt16? {
        var runs: [(mark: Mark, count: Int)] = []
        for mark in marks {
            if runs.last?.mark == mark {
                runs[runs.count - 1].count += 1
            } else {
                guard runs.count < 3 else { return nil }
                runs.append((mark, 1))
            }
        }
        for round in [true, false] {
            for pattern: [Mark] in [
                [.used(round: round), .available(round: round), .used(round: !round)],
                [.available(round: !round), .used(round: round), .available(round: round)],
            ] {
                guard let counts = match(runs, pattern) else { continue }
                let isWrapped = pattern[0] == .available(round: !round)
                let place = isWrapped ? counts[0] + counts[1] : counts[0]
                // At the ring's end the next round begins.
                return place == marks.count
                    ? (round ? 0 : 0x8000) : UInt16(place) | (round ? 0x8000 : 0)
            }
        }
        return nil
    }

    /// How long each part of a pattern is; nil when the runs are not of it.
    private func match(_ runs: [(mark: Mark, count: Int)], _ pattern: [Mark]) -> [Int]? {
        var counts = [0, 0, 0]
        var next = 0
        for run in runs {
            guard let part = (next..<3).first(where: { pattern[$0] == run.mark }) else {
                return nil
            }
            counts[part] = run.count
            next = part + 1
        }
        return counts
    }
}
