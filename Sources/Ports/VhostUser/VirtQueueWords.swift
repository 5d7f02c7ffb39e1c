import Synchronization

/// Words of a ring: memory that a driver in another process reads and writes at the same time.
///
/// Each call is one access of the processor's: what was loaded is a value that cannot change any
/// more, and no compiler makes two loads of one. Offsets are multiples of the word's size. virtio is
/// little-endian (1.3 §1.4).
extension UnsafeMutableRawPointer {
    @inline(__always)
    private func atomic<Word: AtomicRepresentable>(
        _ offset: Int, _ type: Word.Type
    ) -> UnsafeMutablePointer<Atomic<Word>> {
        (self + offset).assumingMemoryBound(to: Atomic<Word>.self)
    }

    @inline(__always)
    func word16(at offset: Int) -> UInt16 {
        UInt16(littleEndian: atomic(offset, UInt16.self).pointee.load(ordering: .relaxed))
    }

    @inline(__always)
    func word64(at offset: Int) -> UInt64 {
        UInt64(littleEndian: atomic(offset, UInt64.self).pointee.load(ordering: .relaxed))
    }

    /// What the driver wrote before it wrote this is seen after it.
    @inline(__always)
    func acquiredWord16(at offset: Int) -> UInt16 {
        UInt16(littleEndian: atomic(offset, UInt16.self).pointee.load(ordering: .acquiring))
    }

    @inline(__always)
    func acquiredWord64(at offset: Int) -> UInt64 {
        UInt64(littleEndian: atomic(offset, UInt64.self).pointee.load(ordering: .acquiring))
    }

    @inline(__always)
    func setWord8(_ word: UInt8, at offset: Int) {
        atomic(offset, UInt8.self).pointee.store(word, ordering: .releasing)
    }

    @inline(__always)
    func setWord16(_ word: UInt16, at offset: Int) {
        atomic(offset, UInt16.self).pointee.store(word.littleEndian, ordering: .relaxed)
    }

    @inline(__always)
    func setWord64(_ word: UInt64, at offset: Int) {
        atomic(offset, UInt64.self).pointee.store(word.littleEndian, ordering: .relaxed)
    }

    /// Seen by the driver no earlier than all that was written before it.
    @inline(__always)
    func releaseWord16(_ word: UInt16, at offset: Int) {
        atomic(offset, UInt16.self).pointee.store(word.littleEndian, ordering: .releasing)
    }

    @inline(__always)
    func releaseWord64(_ word: UInt64, at offset: Int) {
        atomic(offset, UInt64.self).pointee.store(word.littleEndian, ordering: .releasing)
    }
}
