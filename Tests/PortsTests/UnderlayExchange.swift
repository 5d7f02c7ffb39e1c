import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

/// A message to be sent in a test: its bytes, cut into pieces at the given places.
struct TestMessage {
    var bytes: [UInt8]
    var to: UnderlayAddress
    var segment = 0
    var source = 0
    /// Lengths of all pieces but the last.
    var pieceLengths: [Int] = []

    /// Sends messages by one call and gives their outcomes, in words.
    static func send(_ messages: [TestMessage], by underlay: some Underlay) -> [String] {
        var memory: [UnsafeMutablePointer<UInt8>] = []
        var pieces: [OutgoingPiece] = []
        var outgoing: [OutgoingMessage] = []
        for message in messages {
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: message.bytes.count + 1)
            bytes.initialize(from: message.bytes, count: message.bytes.count)
            memory.append(bytes)
            let first = pieces.count
            var offset = 0
            for length in message.pieceLengths + [Int.max] {
                let taken = min(length, message.bytes.count - offset)
                pieces.append(OutgoingPiece(bytes: bytes + offset, byteCount: taken))
                offset += taken
            }
            var one = OutgoingMessage(
                destination: message.to, firstPiece: first, pieceCount: pieces.count - first,
                byteCount: message.bytes.count, segmentByteCount: message.segment,
                source: message.source)
            one.outcome = .runt  // so that one which is not set is found
            outgoing.append(one)
        }
        outgoing.withUnsafeMutableBufferPointer { messages in
            pieces.withUnsafeMutableBufferPointer { pieces in
                guard let base = pieces.baseAddress else { return }
                underlay.transmit(messages, pieces: base)
            }
        }
        for bytes in memory { bytes.deallocate() }
        return outgoing.map(\.outcome.name)
    }
}

/// What a test received.
struct TestDatagrams: Equatable {
    var bytes: [UInt8]
    var segment: Int
    var source: UnderlayAddress
    var isTruncated: Bool

    /// Receives until so many bytes have come, or 2 s have passed, and 50 ms more for what should
    /// not come.
    static func receive(_ byteCount: Int, from underlay: some Underlay) -> [TestDatagrams] {
        var batch = DatagramBatch()
        var result: [TestDatagrams] = []
        var count = 0
        var isLast = false
        while true {
            var interest = pollfd(
                fd: underlay.pollDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
            let found = poll(&interest, 1, isLast ? 50 : 2000)
            if found <= 0 { return result }
            _ = underlay.receive(into: &batch)
            let taken = batch.take()
            count += taken.reduce(0) { $0 + $1.bytes.count }
            result += taken
            isLast = count >= byteCount
        }
    }
}

extension DatagramBatch {
    /// Copies what is in it, and clears it.
    mutating func take() -> [TestDatagrams] {
        let taken = (0..<count).map { place in
            let message = messages[place]
            return TestDatagrams(
                bytes: [UInt8](
                    UnsafeRawBufferPointer(start: message.bytes, count: message.byteCount)),
                segment: message.segmentByteCount, source: message.source,
                isTruncated: message.isTruncated)
        }
        clear()
        return taken
    }
}

/// An address of the documentation networks that ``inUnderlayNamespace(_:)`` gives lo, in both
/// families.
enum Family: CaseIterable, CustomTestStringConvertible {
    case ipv4, ipv6

    func address(_ host: UInt8) -> UnderlayAddress {
        switch self {
        case .ipv4: UnderlayAddress(ipv4: 0xC000_0200 | UInt32(host))
        case .ipv6: UnderlayAddress(high: 0x2001_0DB8_0000_0000, low: UInt64(host))
        }
    }

    /// What no route leads to.
    var unreachable: UnderlayAddress {
        switch self {
        case .ipv4: UnderlayAddress(ipv4: 0xCB00_7101)
        case .ipv6: UnderlayAddress(high: 0x2001_0DB8_FFFF_0000, low: 1)
        }
    }

    /// IP's and UDP's headers.
    var headerByteCount: Int { self == .ipv4 ? 28 : 48 }

    var testDescription: String { self == .ipv4 ? "IPv4" : "IPv6" }
}

/// Runs the body in a namespace whose lo is up and has 192.0.2.1, 192.0.2.2, 2001:db8::1 and
/// 2001:db8::2.
func inUnderlayNamespace(_ body: () throws -> Void) throws {
    try inFreshNamespace {
        try ip("link set lo up")
        for host in 1...2 as ClosedRange<UInt8> {
            for family in Family.allCases { try addAddress(family.address(host)) }
        }
        try body()
    }
}

/// Gives lo an address and waits until it is in use. Of an IPv6 address the kernel makes the local
/// route later, in a work queue, even without duplicate address detection; until then what is sent
/// to it goes out and is not let in.
func addAddress(_ address: UnderlayAddress) throws {
    guard !address.isIPv4 else { return try ip("address add \(address.text)/32 dev lo") }
    try ip("address add \(address.text)/128 dev lo nodad")
    let octets = [address.high, address.low].map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
    let isLocal = try soon {
        // Destination, its length, source, its length, next hop, metric, uses, references, flags.
        try String(contentsOfFile: "/proc/thread-self/net/ipv6_route", encoding: .utf8)
            .split(separator: "\n").contains { line in
                let columns = line.split(separator: " ")
                return columns[0] == octets.joined() && columns[1] == "80"
                    && UInt32(columns[8], radix: 16).map { $0 & 0x8000_0000 != 0 } == true
            }
    }
    try #require(isLocal, "\(address.text) is no local address")
}

/// Runs ip(8) in the thread's namespace; it must succeed.
func ip(_ arguments: String) throws {
    let tool = try ExternalTool("ip")
    let words = ["ip"] + arguments.split(separator: " ").map(String.init)
    var pointers = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    // Not by Foundation's Process, which never returned from a thread of this kind.
    var child = pid_t()
    let error = posix_spawn(&child, tool.path, nil, nil, &pointers, clinux_environment())
    try #require(error == 0)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    try #require(status == 0, "ip \(arguments)")
}

/// Bytes of which no two segments are alike.
func pattern(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    return random.bytes(byteCount)
}

/// A UDP socket of nobody in particular, bound to an address; closed by the caller.
func strangerSocket(_ address: UnderlayAddress, type: __socket_type = SOCK_DGRAM, _ number: Int = 0)
    throws -> Int32
{
    let descriptor = socket(
        address.isIPv4 ? AF_INET : AF_INET6, Int32(type.rawValue | SOCK_CLOEXEC.rawValue),
        Int32(number))
    try #require(descriptor >= 0)
    let status = address.withSocketAddress(port: 0) { bind(descriptor, $0, $1) }
    try #require(status == 0)
    // A test that is wrong fails; it does not hang.
    var limit = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(
        descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    return descriptor
}

extension UnderlayAddress {
    func withSocketAddress<Result>(
        port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        let bytes = UnsafeMutableRawPointer.allocate(
            byteCount: Self.socketAddressStride, alignment: 8)
        defer { bytes.deallocate() }
        prepare(bytes, port: port)
        store(into: bytes)
        return body(bytes.assumingMemoryBound(to: sockaddr.self), socketAddressByteCount)
    }
}

/// The port that a socket is bound to.
func boundPort(_ socket: Int32) -> UInt16 {
    var storage = sockaddr_storage()
    var byteCount = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutableBytes(of: &storage) { bytes in
        guard let base = bytes.baseAddress else { return 0 }
        getsockname(socket, base.assumingMemoryBound(to: sockaddr.self), &byteCount)
        return UInt16(bigEndian: base.load(fromByteOffset: 2, as: UInt16.self))
    }
}
