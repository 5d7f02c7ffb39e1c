// The first twelve bytes as an offload header and the rest as its frame: check it, complete the
// checksum or cut it into segments, and hold the results to what the types promise.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOffload(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    guard byteCount >= Offload.wireByteCount else { return 0 }
    let input = UnsafeRawBufferPointer(start: data, count: byteCount)
    var offload = Offload(wire: UnsafeRawPointer(data))
    let original = UnsafeRawBufferPointer(rebasing: input[Offload.wireByteCount...])

    var header: (UInt64, UInt32) = (0, 0)
    withUnsafeMutableBytes(of: &header) { bytes in
        guard let base = bytes.baseAddress else { return }
        offload.store(to: base)
        precondition(Offload(wire: UnsafeRawPointer(base)) == offload)
    }

    // Whatever the start of the frame says, the whole of it says too.
    let finding = offload.check(original)
    let copied = UnsafeRawBufferPointer(rebasing: original[..<min(256, original.count)])
    let borrowed = offload.check(copied, byteCount: original.count)
    if case .invalid = finding { precondition(borrowed != .plain && borrowed != .checksumOnly) }

    var admitted = offload
    precondition(admitted.admit(original, byteCount: original.count) == finding)
    precondition(admitted.check(original) == finding)

    // A writable copy of exactly the frame's size, so that a stray write is seen.
    let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: original.count, alignment: 1)
    defer { frame.deallocate() }
    frame.copyMemory(from: original)

    switch finding {
    case .plain:
        precondition(!offload.isPending)
    case .checksumOnly:
        completeAndVerify(&offload, frame, original)
    case .gso(let geometry):
        segmentAndVerify(offload, original, geometry)
    case .invalid(let fault):
        precondition(!fault.description.isEmpty)
        precondition(Segmenter(frame: original, offload: offload) == nil)
        _ = offload.completeChecksum(in: frame)
    }

    var shifted = offload
    shifted.shift(by: 4)
    shifted.shift(by: -4)
    if offload.checksumStart < 0xFFFB, offload.headerByteCount < 0xFFFB {
        precondition(shifted == offload)
    }
    return 0
}

private func completeAndVerify(
    _ offload: inout Offload, _ frame: UnsafeMutableRawBufferPointer,
    _ original: UnsafeRawBufferPointer
) {
    let start = Int(offload.checksumStart)
    let field = start + Int(offload.checksumOffset)
    precondition(offload.completeChecksum(in: frame))
    precondition(offload == .none)
    for index in 0..<frame.count where index != field && index != field + 1 {
        precondition(frame[index] == original[index])
    }
    precondition(field >= EthernetView.minimumByteCount)
}

private func segmentAndVerify(
    _ offload: Offload, _ frame: UnsafeRawBufferPointer, _ geometry: GSOGeometry
) {
    guard var segmenter = Segmenter(frame: frame, offload: offload) else {
        preconditionFailure("checked as GSO and not segmented")
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: geometry.maximumSegmentByteCount, alignment: 1)
    defer { buffer.deallocate() }
    var position = geometry.headerByteCount
    var count = 0
    while let byteCount = segmenter.next(into: buffer) {
        count += 1
        precondition(byteCount <= buffer.count)
        precondition(byteCount - geometry.networkOffset <= segmenter.maximumSegmentIPByteCount)
        for index in geometry.headerByteCount..<byteCount {
            precondition(buffer[index] == frame[position])
            position += 1
        }
        verify(UnsafeRawBufferPointer(rebasing: buffer[..<byteCount]), geometry)
    }
    precondition(position == frame.count)
    precondition(count == geometry.segmentCount)
    precondition(count <= Offload.maximumSegmentCount)
}

/// A segment's lengths and checksums, read through Wire's views.
private func verify(_ segment: UnsafeRawBufferPointer, _ geometry: GSOGeometry) {
    guard let base = segment.baseAddress else { preconditionFailure("an empty segment") }
    let packet = segment.bytes.extracting(droppingFirst: geometry.networkOffset)
    let byteCount = segment.count - geometry.transportOffset
    let transportProtocol: IPProtocol = geometry.isTCP ? .tcp : .udp
    var sum: InternetChecksum
    if geometry.isIPv6 {
        guard let ip = IPv6View(packet) else { preconditionFailure("no IPv6 header") }
        precondition(ip.payloadByteCount + 40 == packet.byteCount)
        sum = .pseudoHeader(
            ipv6: base + geometry.networkOffset, transportProtocol: transportProtocol,
            byteCount: byteCount)
    } else {
        guard let ip = IPv4View(packet) else { preconditionFailure("no IPv4 header") }
        precondition(ip.totalByteCount == packet.byteCount)
        precondition(ip.hasValidHeaderChecksum)
        sum = .pseudoHeader(
            ipv4: base + geometry.networkOffset, transportProtocol: transportProtocol,
            byteCount: byteCount)
    }
    sum.add(base + geometry.transportOffset, byteCount: byteCount)
    precondition(sum.value == 0)
}
