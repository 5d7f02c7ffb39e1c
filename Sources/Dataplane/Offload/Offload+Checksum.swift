import Wire

extension Offload {
    /// Completes the partial checksum of a frame that is not GSO: sums from `checksumStart` to the
    /// frame's end, the sender's pseudo header sum in the field included, and puts the complement
    /// in its place. Afterwards nothing is pending.
    ///
    /// A result of zero is sent as 0xFFFF, the same number in one's complement: zero would mean
    /// "no checksum" in UDP (RFC 768), and is right for no protocol but not wrong for any other.
    ///
    /// The caller has had the offload checked. The bounds are verified again, since this writes;
    /// returns false, with nothing changed, when they do not hold or nothing is to be done here.
    package mutating func completeChecksum(in frame: UnsafeMutableRawBufferPointer) -> Bool {
        let start = Int(checksumStart)
        let field = start + Int(checksumOffset)
        guard needsChecksum, gsoType == Self.gsoNone, start >= EthernetView.minimumByteCount,
            field + 2 <= frame.count, let base = frame.baseAddress
        else { return false }
        var sum = InternetChecksum()
        sum.add(UnsafeRawPointer(base + start), byteCount: frame.count - start)
        let value = sum.value
        base.storeBigEndian(value == 0 ? 0xFFFF : value, at: field)
        self = .none
        return true
    }
}
