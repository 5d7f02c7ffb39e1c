import CLinux
import Glibc
import Wire

/// Numbered datagrams at a steady rate, and an account of what became of them.
///
/// A datagram holds its number (8 bytes, network order) and fills up to 64 bytes. The receiver tells
/// what its own socket had no room for (SO_RXQ_OVFL) from what never came: only the latter is the
/// network's.
enum UDPStream {
    private static let byteCount = 64

    /// Sends for so many seconds, or until a signal; prints how many it sent.
    static func send(to address: String, port: UInt16, rate: Double, seconds: Double) throws {
        let signals = TestPeer.endSignals()
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        let target = try TestPeer.address(address, port: port)
        guard TestPeer.withAddress(target, { connect(socket, $0, $1) }) == 0 else {
            throw PacketSocket.Failure("connect to \(address)")
        }
        TestPeer.print(#"{"ready":true}"#)
        var buffer = [UInt8](repeating: 0, count: byteCount)
        let begin = TestPeer.now()
        var sent: UInt64 = 0
        var refused = 0
        while true {
            let due = begin + Double(sent) / rate
            let now = TestPeer.now()
            if now - begin >= seconds { break }
            if due > now {
                let wait = Int32(max(1, (due - now) * 1000))
                if TestPeer.isReadable(signals, timeoutMilliseconds: wait) { break }
                continue
            }
            buffer.withUnsafeMutableBytes {
                $0.storeBytes(of: sent.bigEndian, as: UInt64.self)
            }
            // ECONNREFUSED is an answer to an earlier datagram; the number goes on regardless.
            if Glibc.send(socket, buffer, buffer.count, 0) < 0 {
                refused += 1
                if errno == ECONNREFUSED { continue }
                guard errno == ENOBUFS || errno == EAGAIN else {
                    throw PacketSocket.Failure("send to \(address)")
                }
            }
            sent += 1
        }
        TestPeer.print(#"{"sent":\#(sent),"refused":\#(refused)}"#)
    }

    static func receive(port: UInt16) throws {
        let signals = TestPeer.endSignals()
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var byteCount: Int32 = 4 << 20
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &byteCount, 4)
        var one: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_RXQ_OVFL, &one, 4)
        let own = try TestPeer.address("0.0.0.0", port: port)
        guard TestPeer.withAddress(own, { bind(socket, $0, $1) }) == 0 else {
            throw PacketSocket.Failure("bind to port \(port)")
        }
        TestPeer.print(#"{"ready":true}"#)
        var account = Account()
        var buffer = [UInt8](repeating: 0, count: 2048)
        var isEnding = false
        while true {
            // After the signal, what is in the socket already is still taken.
            if TestPeer.isReadable(signals) { isEnding = true }
            guard TestPeer.isReadable(socket, timeoutMilliseconds: isEnding ? 0 : 100) else {
                if isEnding { break }
                continue
            }
            let (count, overflow) = take(socket, &buffer)
            if let overflow { account.overflow = UInt64(overflow) }
            guard count >= 8 else { continue }
            account.note(
                buffer.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) },
                at: TestPeer.now())
        }
        TestPeer.print(account.json)
    }

    private static func take(_ socket: Int32, _ buffer: inout [UInt8]) -> (Int, UInt32?) {
        var control = [UInt8](repeating: 0, count: 64)
        return buffer.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &piece) { piece in
                    var message = msghdr()
                    message.msg_iov = piece
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    let count = recvmsg(socket, &message, 0)
                    guard count >= 0, let header = clinux_cmsg_first(&message),
                        header.pointee.cmsg_type == SO_RXQ_OVFL,
                        let data = clinux_cmsg_data(header)
                    else { return (count, nil) }
                    return (count, UnsafeRawPointer(data).loadUnaligned(as: UInt32.self))
                }
            }
        }
    }

    /// What came, by number.
    private struct Account {
        var received: UInt64 = 0
        var duplicates: UInt64 = 0
        var reordered: UInt64 = 0
        var overflow: UInt64 = 0
        private var first: UInt64?
        private var highest: UInt64 = 0
        private var seen: Set<UInt64> = []
        private var lastTime = 0.0
        private var longestGap = 0.0

        mutating func note(_ number: UInt64, at time: Double) {
            received += 1
            if lastTime > 0 { longestGap = max(longestGap, time - lastTime) }
            lastTime = time
            guard seen.insert(number).inserted else {
                duplicates += 1
                return
            }
            if first != nil, number < highest { reordered += 1 }
            if first == nil { first = number }
            highest = max(highest, number)
        }

        /// `missing` counts numbers that never came between the first and the last that did.
        var json: String {
            let lowest = seen.min() ?? 0
            let missing = seen.isEmpty ? 0 : highest - lowest + 1 - UInt64(seen.count)
            return #"{"received":\#(received),"first":\#(lowest),"last":\#(highest),"#
                + #""missing":\#(missing),"duplicates":\#(duplicates),"reordered":\#(reordered),"#
                + #""overflow":\#(overflow),"longest_gap_ms":\#(Int(longestGap * 1000))}"#
        }
    }
}
