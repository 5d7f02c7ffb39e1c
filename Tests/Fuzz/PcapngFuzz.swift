// Any bytes as a capture file, pcapng or pcap: nothing may trap or read outside, every frame must lie
// in the file, and the file must say the same whether it comes whole or piece by piece.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPcapng(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    guard byteCount > 0 else { return 0 }
    // The first byte says how large the pieces are.
    let file = UnsafeRawBufferPointer(start: data + 1, count: byteCount - 1)
    let whole = read(file, pieceByteCount: max(file.count, 1))
    let pieces = read(file, pieceByteCount: Int(data[0]) % 61 + 4)
    precondition(whole == pieces, "\(whole) \(pieces)")
    return 0
}

/// What a file said, in short.
private struct Account: Equatable {
    var frameCount: UInt64 = 0
    var digest: UInt64 = 0
    var interfaces: [CaptureInterface] = []
    var error: CaptureFormatError?
    /// Bytes at the end that are no whole block.
    var restByteCount = 0

    mutating func note(_ value: UInt64) {
        digest = (digest ^ value) &* 0xD6E8_FEB8_6659_FD93
        digest ^= digest >> 32
    }
}

private func read(_ file: UnsafeRawBufferPointer, pieceByteCount: Int) -> Account {
    var account = Account()
    var decoder = CaptureFileDecoder()
    var start = 0
    var end = min(file.count, max(pieceByteCount, 4))
    do {
        try decoder.recognise(UnsafeRawBufferPointer(rebasing: file[..<end]))
        while true {
            let outcome = try decoder.read(UnsafeRawBufferPointer(rebasing: file[start..<end])) {
                note($0, $1, in: file, &account)
                return true
            }
            precondition(outcome.consumed >= 0 && outcome.consumed <= end - start)
            precondition(outcome.needs > end - start - outcome.consumed)
            precondition(outcome.needs <= CaptureLimits.blockByteCount + 16)
            start += outcome.consumed
            precondition(decoder.offset == UInt64(start))
            if end == file.count { break }
            end = min(file.count, end + pieceByteCount)
        }
        account.restByteCount = end - start
    } catch {
        account.error = error
        precondition(!"\(error)".isEmpty && error.offset <= UInt64(file.count))
    }
    account.interfaces = decoder.interfaces
    precondition(account.interfaces.count <= file.count)
    return account
}

private func note(
    _ frame: CapturedFrame, _ interfaces: [CaptureInterface], in file: UnsafeRawBufferPointer,
    _ account: inout Account
) {
    account.frameCount += 1
    precondition(frame.number == account.frameCount)
    precondition(interfaces[frame.interface].isEthernet)
    precondition(lies(frame.bytes, in: file) && lies(frame.commentBytes, in: file))
    account.note(frame.offset)
    account.note(UInt64(frame.interface) << 32 | UInt64(frame.originalByteCount))
    account.note(frame.timestampNanoseconds ?? .max)
    account.note(frame.packetID ?? .max)
    account.note(UInt64(frame.direction?.rawValue ?? 0))
    for byte in frame.bytes { account.note(UInt64(byte)) }
    for byte in (frame.comment ?? "").utf8 { account.note(UInt64(byte)) }
}

private func lies(_ bytes: UnsafeRawBufferPointer, in file: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress, let first = file.baseAddress else { return bytes.isEmpty }
    return start >= first && start + bytes.count <= first + file.count
}
