/// What became of one flow's frames at one receiver: how many arrived, in what order, how often.
///
/// A frame is *reordered* when one of a higher sequence number arrived before it (RFC 4737's
/// definition, type P-Reordered), and *duplicated* when its number was seen before. Numbers seen are
/// remembered for the last 8192 only (1 KiB a flow): a second copy that comes later than that counts
/// as reordered, and a switch that holds a frame back so long has lost its order anyway. What never
/// arrived follows from the counts, once the sender has said how many it sent.
struct SequenceCheck {
    private static let window: UInt64 = 8192
    private var seen = [UInt64](repeating: 0, count: Int(SequenceCheck.window / 64))
    /// One past the highest number that arrived.
    private var next: UInt64 = 0
    /// Distinct frames.
    private(set) var received: UInt64 = 0
    private(set) var reordered: UInt64 = 0
    private(set) var duplicated: UInt64 = 0

    mutating func note(_ sequence: UInt64) {
        if sequence >= next {
            forget(next, through: sequence)
            next = sequence + 1
        } else if next - sequence > SequenceCheck.window {
            reordered += 1
            received += 1
            return
        } else if isSeen(sequence) {
            duplicated += 1
            return
        } else {
            reordered += 1
        }
        received += 1
        seen[word(sequence)] |= bit(sequence)
    }

    /// Makes room in the window for the numbers between.
    private mutating func forget(_ first: UInt64, through last: UInt64) {
        if last == first {
            seen[word(first)] &= ~bit(first)
        } else if last - first >= SequenceCheck.window {
            for index in seen.indices { seen[index] = 0 }
        } else {
            for sequence in first...last { seen[word(sequence)] &= ~bit(sequence) }
        }
    }

    private func isSeen(_ sequence: UInt64) -> Bool { seen[word(sequence)] & bit(sequence) != 0 }
    private func word(_ sequence: UInt64) -> Int { Int(sequence % SequenceCheck.window / 64) }
    private func bit(_ sequence: UInt64) -> UInt64 { 1 << (sequence % 64) }
}
