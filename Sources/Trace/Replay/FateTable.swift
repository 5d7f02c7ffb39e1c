import Dataplane

/// Fates as small numbers, so that a million of them are compared without a string.
struct FateTable {
    private(set) var fates: [Fate] = []
    private var numbers: [Fate: Int32] = [:]
    private var drops = [Int32](repeating: -1, count: 256)

    /// Comments that were read, by a hash of their bytes: captures say the same again and again.
    private var comments: [UInt64: (bytes: [UInt8], fate: Int32)] = [:]
    private static let commentLimit = 4096

    static let unsaid: Int32 = -1

    subscript(_ number: Int32) -> Fate { fates[Int(number)] }

    mutating func number(of fate: Fate) -> Int32 {
        if let number = numbers[fate] { return number }
        let number = Int32(fates.count)
        fates.append(fate)
        numbers[fate] = number
        return number
    }

    mutating func number(of reason: DropReason) -> Int32 {
        let place = Int(reason.rawValue)
        if drops[place] < 0 { drops[place] = number(of: .dropped(reason)) }
        return drops[place]
    }

    /// What a comment says; ``unsaid`` when it says nothing.
    mutating func number(recorded comment: UnsafeRawBufferPointer) -> Int32 {
        guard !comment.isEmpty else { return FateTable.unsaid }
        let hash = FateTable.hash(comment)
        if let known = comments[hash], known.bytes.count == comment.count,
            known.bytes.withUnsafeBytes({ $0.elementsEqual(comment) })
        {
            return known.fate
        }
        let fate = RecordedFate.parse(comment).map { number(of: $0) } ?? FateTable.unsaid
        if comments.count < FateTable.commentLimit {
            comments[hash] = ([UInt8](comment), fate)
        }
        return fate
    }

    /// Eight bytes at a time; a collision costs time only.
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(bytes.count) &* 0x9E37_79B9_7F4A_7C15
        var place = 0
        while place + 8 <= bytes.count {
            hash ^= bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
            place += 8
        }
        while place < bytes.count {
            hash = (hash ^ UInt64(bytes[place])) &* 0x0000_0100_0000_01B3
            place += 1
        }
        return hash ^ (hash >> 29)
    }
}
