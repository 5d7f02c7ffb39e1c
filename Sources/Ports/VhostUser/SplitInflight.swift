/// Marks of the chains of a split ring that were taken and not returned, in memory that outlives the
/// switch: so that one that is started again after a crash neither loses nor returns twice
/// (vhost-user specification, "Inflight I/O tracking", QueueRegionSplit).
///
///     features 8, version 2, descriptors 2, last_batch_head 2, used_idx 2,
///     descriptors × (inflight 1, padding 5, next 2, counter 8)
///
/// Each store is in the specification's order, and a crash is seen by the next life only: so program
/// order is enough, which releasing stores keep. What is read is not trusted: the front-end shares
/// the region as well.
struct SplitInflight: BitwiseCopyable {
    private let region: UnsafeMutableRawPointer
    private let size: Int
    private var counter: UInt64 = 0
    /// Heads to be taken again, in the order in which they were taken first.
    let resubmit: UnsafeMutablePointer<UInt16>
    private(set) var resubmitCount = 0

    private static let headerByteCount = 16
    private enum Field {
        static let version = 8
        static let descriptors = 10
        static let lastBatchHead = 12
        static let used = 14
    }

    static func byteCount(size: Int) -> Int { headerByteCount + 16 * size }

    /// Takes up a region, new or left behind; nil when it is another ring's.
    init?(_ region: UnsafeMutableRawPointer, size: Int, used: UInt16) {
        self.region = region
        self.size = size
        if region.word16(at: Field.version) == 0 {
            region.setWord16(UInt16(truncatingIfNeeded: size), at: Field.descriptors)
            region.setWord16(used, at: Field.used)
            region.releaseWord16(1, at: Field.version)
        } else {
            guard region.word16(at: Field.version) == 1,
                Int(region.word16(at: Field.descriptors)) == size
            else { return nil }
        }
        resubmit = .allocate(capacity: size)
        settleLastBatch(used)
    }

    func deallocate() { resubmit.deallocate() }

    private func entry(_ head: UInt16) -> UnsafeMutableRawPointer {
        region + SplitInflight.headerByteCount + 16 * Int(head)
    }

    /// A crash between the raising of the used index and the clearing of marks: finishes that.
    private func settleLastBatch(_ used: UInt16) {
        let batch = Int(used &- region.word16(at: Field.used))
        if batch <= size {
            var head = region.word16(at: Field.lastBatchHead)
            for _ in 0..<batch where Int(head) < size {
                entry(head).setWord8(0, at: 0)
                head = entry(head).word16(at: 6)
            }
        }
        region.releaseWord16(used, at: Field.used)
    }

    /// Finds what is still marked: how many.
    mutating func recover() -> Int {
        var found: [(counter: UInt64, head: UInt16)] = []
        for place in 0..<size {
            let entry = entry(UInt16(truncatingIfNeeded: place))
            guard entry.word64(at: 0) & 0xFF == 1 else { continue }
            found.append((entry.word64(at: 8), UInt16(truncatingIfNeeded: place)))
        }
        // Modular: counters of one life lie close together.
        found.sort { Int64(bitPattern: $0.counter &- $1.counter) < 0 }
        for (place, chain) in found.enumerated() {
            (resubmit + place).initialize(to: chain.head)
        }
        resubmitCount = found.count
        counter = (found.last?.counter ?? 0) &+ 1
        return resubmitCount
    }

    mutating func note(_ head: UInt16) {
        let entry = entry(head)
        entry.releaseWord64(counter, at: 8)
        counter &+= 1
        entry.setWord8(1, at: 0)
    }

    /// Before the used index is raised.
    func link(_ elements: UnsafeMutablePointer<UsedElement>, count: Int) {
        for place in 0..<count {
            let head = elements[place].id
            entry(head).releaseWord16(region.word16(at: Field.lastBatchHead), at: 6)
            region.releaseWord16(head, at: Field.lastBatchHead)
        }
    }

    /// After it was.
    func clear(_ elements: UnsafeMutablePointer<UsedElement>, count: Int, used: UInt16) {
        for place in 0..<count { entry(elements[place].id).setWord8(0, at: 0) }
        region.releaseWord16(used, at: Field.used)
    }
}
