// The input as a list of edits to a TCP stream's segments, two flows of them taking turns: whatever
// is done to them, what comes out of the coalescer is, cut again, what went in.
//
// Of the input, each byte group is one segment: what kind, and which byte is changed how. Every frame
// is also taken for the one that is too big and for the one whose MSS is too large.

nonisolated(unsafe) private var pool = FramePool(capacity: Burst.capacity)
nonisolated(unsafe) private var burst = Burst()
nonisolated(unsafe) private var coalescer = Coalescer()

private let frameLimit = 600

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCoalescer(_ data: UnsafePointer<UInt8>, _ byteCount: Int) -> CInt {
    burst.refill(from: &pool)
    var input = UnsafeRawBufferPointer(start: data, count: byteCount)
    guard let selector = input.first else { return 0 }
    input = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    var frames: [[UInt8]] = []
    if selector & 1 == 0 {
        // Frames as they are, each behind its length.
        while let length = input.first, input.count > Int(length) {
            frames.append(Array(input[1..<1 + Int(length)]))
            input = UnsafeRawBufferPointer(rebasing: input.dropFirst(Int(length) + 1))
        }
    } else {
        var sequence: (UInt32, UInt32) = (0xFFFF_FF00, 7)
        while input.count >= 4, frames.count < frameLimit {
            let isSecond = input[0] & 1 != 0
            let size = Int(input[0] >> 1)
            var frame = segment(
                isIPv6: selector & 2 != 0, port: isSecond ? 2 : 1,
                sequence: isSecond ? sequence.1 : sequence.0, size: size,
                flags: input[1] & 0x80 != 0 ? 0x18 : 0x10, identification: frames.count)
            if isSecond { sequence.1 &+= UInt32(size) } else { sequence.0 &+= UInt32(size) }
            // Changed before or after the checksums were made, or not at all.
            let offset = (Int(input[1] & 0x1F) << 8 | Int(input[2])) % frame.count
            if input[1] & 0x40 != 0 {
                frame[offset] ^= input[3]
                complete(&frame, isIPv6: selector & 2 != 0)
            } else if input[1] & 0x20 != 0 {
                frame[offset] ^= input[3]
            }
            frames.append(frame)
            input = UnsafeRawBufferPointer(rebasing: input.dropFirst(4))
        }
    }
    verify(frames)
    for frame in frames.prefix(16) {
        verifyReply(frame)
        verifyClamp(frame)
    }
    return 0
}

/// A reply has right checksums and is itself never answered.
private func verifyReply(_ frame: [UInt8]) {
    guard let reply = answer(frame) else { return }
    precondition(reply.count <= TooBigReply.maximumByteCount)
    let isIPv6 = reply[12] == 0x86
    let transport = isIPv6 ? 54 : 34
    reply.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        let packet = bytes.bytes.extracting(droppingFirst: 14)
        var sum = InternetChecksum()
        if isIPv6 {
            guard let ip = IPv6View(packet) else { preconditionFailure("no IPv6 reply") }
            precondition(ip.payloadByteCount + 54 == reply.count)
            sum = .pseudoHeader(
                ipv6: base + 14, transportProtocol: .icmpv6, byteCount: reply.count - 54)
        } else {
            guard let ip = IPv4View(packet) else { preconditionFailure("no IPv4 reply") }
            precondition(ip.totalByteCount + 14 == reply.count && ip.hasValidHeaderChecksum)
        }
        sum.add(base + transport, byteCount: reply.count - transport)
        precondition(sum.value == 0)
    }
    precondition(answer(reply) == nil)
}

private func answer(_ frame: [UInt8]) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: TooBigReply.maximumByteCount)
    let outcome = frame.withUnsafeBytes { frame in
        buffer.withUnsafeMutableBytes { TooBigReply.build(for: frame, mtu: 1450, into: $0) }
    }
    guard case .reply(let byteCount) = outcome else { return nil }
    return Array(buffer[..<byteCount])
}

/// The clamp changes the option and the checksum and nothing else, and once is enough.
private func verifyClamp(_ frame: [UInt8]) {
    var clamped = frame
    let isChanged = clamped.withUnsafeMutableBytes {
        MSSClamp.apply(to: $0, offload: .none, maximumPacketByteCount: 600)
    }
    let changes = frame.indices.filter { frame[$0] != clamped[$0] }
    precondition(isChanged ? changes.count <= 4 : changes.isEmpty)
    let isAgain = clamped.withUnsafeMutableBytes {
        MSSClamp.apply(to: $0, offload: .none, maximumPacketByteCount: 600)
    }
    precondition(!isAgain)
}

private func verify(_ frames: [[UInt8]]) {
    var out: [[UInt8]] = []
    for frame in frames {
        let isTaken = frame.withUnsafeBytes {
            coalescer.add($0, domain: 0, ingress: 0, mtu: 65_535, to: &burst)
        }
        guard !isTaken else { continue }
        precondition(burst.isFull)
        collect(&out)
        frame.withUnsafeBytes {
            precondition(coalescer.add($0, domain: 0, ingress: 0, mtu: 65_535, to: &burst))
        }
    }
    collect(&out)
    precondition(out.count == frames.count)
    // As many of each come out as went in; only flows may have passed each other.
    let expected = frames.map(comparable).sorted { $0.lexicographicallyPrecedes($1) }
    precondition(out.map(comparable).sorted { $0.lexicographicallyPrecedes($1) } == expected)
}

private func collect(_ out: inout [[UInt8]]) {
    coalescer.finish()
    for index in 0..<burst.count {
        let frame = burst.frames[index]
        precondition(frame.byteCount <= 65_535 + 14)
        guard frame.offload.isPending else {
            precondition(frame.offload == .none)
            out.append(Array(frame.buffer))
            continue
        }
        guard var segmenter = Segmenter(frame: frame.buffer, offload: frame.offload) else {
            preconditionFailure("a super-frame that cannot be cut")
        }
        precondition(segmenter.segmentCount > 1)
        var buffer = [UInt8](repeating: 0, count: segmenter.geometry.maximumSegmentByteCount)
        while let length = buffer.withUnsafeMutableBytes({ segmenter.next(into: $0) }) {
            out.append(Array(buffer[..<length]))
        }
    }
    burst.clear()
}

/// The frame without an IPv4 identification, and the checksum over it, that DF makes meaningless.
private func comparable(_ frame: [UInt8]) -> [UInt8] {
    guard frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[14] == 0x45 else {
        return frame
    }
    var sum = InternetChecksum()
    frame.withUnsafeBytes { sum.add(UnsafeRawBufferPointer(rebasing: $0[14..<34])) }
    guard sum.value == 0 else { return frame }
    var frame = frame
    for index in [18, 19, 24, 25] { frame[index] = 0 }
    return frame
}

private func segment(
    isIPv6: Bool, port: UInt16, sequence: UInt32, size: Int, flags: UInt8, identification: Int
) -> [UInt8] {
    let transport = isIPv6 ? 54 : 34
    var frame = [UInt8](repeating: 0, count: transport + 20 + size)
    frame.withUnsafeMutableBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        base.storeBigEndian(UInt64(0x0200_0000_0002_0200), at: 0)
        base.storeBigEndian(UInt32(1), at: 8)
        if isIPv6 {
            base.storeBigEndian(UInt32(0x86DD_6000), at: 12)
            base.storeBigEndian(UInt16(20 + size), at: 18)
            base.storeBigEndian(UInt16(0x0640), at: 20)
        } else {
            base.storeBigEndian(UInt32(0x0800_4500), at: 12)
            base.storeBigEndian(UInt16(40 + size), at: 16)
            base.storeBigEndian(UInt16(truncatingIfNeeded: identification), at: 18)
            base.storeBigEndian(UInt32(0x4000_4006), at: 20)
        }
        base.storeBigEndian(port, at: transport)
        base.storeBigEndian(sequence, at: transport + 4)
        base.storeBigEndian(UInt16(0x5000) | UInt16(flags), at: transport + 12)
        for index in 0..<size { bytes[transport + 20 + index] = UInt8(truncatingIfNeeded: index) }
    }
    complete(&frame, isIPv6: isIPv6)
    return frame
}

private func complete(_ frame: inout [UInt8], isIPv6: Bool) {
    let transport = isIPv6 ? 54 : 34
    frame.withUnsafeMutableBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        let byteCount = bytes.count - transport
        var sum = InternetChecksum()
        if !isIPv6 {
            base.storeBigEndian(UInt16(0), at: 24)
            sum.add(base + 14, byteCount: 20)
            base.storeBigEndian(sum.value, at: 24)
        }
        sum =
            isIPv6
            ? .pseudoHeader(ipv6: base + 14, transportProtocol: .tcp, byteCount: byteCount)
            : .pseudoHeader(ipv4: base + 14, transportProtocol: .tcp, byteCount: byteCount)
        base.storeBigEndian(UInt16(0), at: transport + 16)
        sum.add(base + transport, byteCount: byteCount)
        base.storeBigEndian(sum.value, at: transport + 16)
    }
}
