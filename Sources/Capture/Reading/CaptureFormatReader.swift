/// What the readers of the two formats have in common.
protocol CaptureFormatReader {
    /// Those known by now, in the order of the file.
    var interfaces: [CaptureInterface] { get }
    /// Where the next step begins in the file.
    var offset: UInt64 { get }

    /// Reads one block or record off the beginning of `bytes`.
    mutating func next(
        _ bytes: UnsafeRawBufferPointer
    ) throws(CaptureFormatError) -> CaptureStep
}

extension PcapngReader: CaptureFormatReader {}
extension ClassicPcapReader: CaptureFormatReader {}

extension CaptureFormatReader {
    /// As ``CaptureFileDecoder/read(_:_:)``.
    @inline(__always)
    mutating func read(
        _ bytes: UnsafeRawBufferPointer,
        _ body: (CapturedFrame, [CaptureInterface]) -> Bool
    ) throws(CaptureFormatError) -> (consumed: Int, needs: Int, isStopped: Bool) {
        var consumed = 0
        while true {
            switch try next(UnsafeRawBufferPointer(rebasing: bytes[consumed...])) {
            case .frame(let frame, let byteCount):
                consumed += byteCount
                if !body(frame, interfaces) { return (consumed, 0, true) }
            case .skipped(let byteCount): consumed += byteCount
            case .needs(let byteCount): return (consumed, byteCount, false)
            }
        }
    }
}
