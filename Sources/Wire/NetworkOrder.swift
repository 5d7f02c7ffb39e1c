// Loads and stores in network byte order.
//
// The spans are bounds-checked: the view that uses them has guarded the length once, and the
// optimiser then folds the checks away. The raw pointers are not checked; whoever holds one has
// guarded the length.

extension RawSpan {
    /// The integer at `offset`, read as big-endian. Traps when it lies outside the span.
    @inlinable @inline(__always)
    func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        _ offset: Int, as type: T.Type = T.self
    ) -> T {
        T(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// The byte at `offset`. Traps when it lies outside the span.
    @inlinable @inline(__always)
    func byte(_ offset: Int) -> UInt8 {
        unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}

extension UnsafeRawPointer {
    /// The integer at `offset`, read as big-endian; no alignment needed, nothing checked.
    @inlinable @inline(__always)
    public func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        _ offset: Int, as type: T.Type = T.self
    ) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension UnsafeMutableRawPointer {
    /// The integer at `offset`, read as big-endian; no alignment needed, nothing checked.
    @inlinable @inline(__always)
    public func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        _ offset: Int, as type: T.Type = T.self
    ) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// Stores `value` at `offset` as big-endian; no alignment needed, nothing checked.
    @inlinable @inline(__always)
    public func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T, at offset: Int
    ) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }
}
