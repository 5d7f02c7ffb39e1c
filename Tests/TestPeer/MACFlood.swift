import CLinux
import TestSupport
import Wire

/// Sends frames at full rate, each with another source address and to an address that nobody has,
/// until every source was used or the time is over.
struct MACFlood {
    let device: String
    let addressCount: Int
    let seconds: Double

    func run() throws {
        let socket = try PacketSocket(device: device, receives: false)
        var frame = FrameBuilder().frame(
            EtherType(rawValue: 0x88B5), [UInt8](repeating: 0, count: 46))
        let end = TestPeer.now() + seconds
        var sent = 0
        while sent < addressCount {
            for place in 0..<4 {
                // 06:…: locally administered individuals, as the switch's own are 02:….
                frame[8 + place] = UInt8(truncatingIfNeeded: sent >> (24 - 8 * place))
                frame[2 + place] = frame[8 + place]
            }
            (frame[6], frame[7], frame[0], frame[1]) = (0x06, 0, 0x0A, 0)
            if try !socket.send(frame) {
                // The device's queue is full: let the switch take from it.
                usleep(50)
                if TestPeer.now() > end { break }
                continue
            }
            sent += 1
            if sent & 1023 == 0, TestPeer.now() > end { break }
        }
        TestPeer.print(#"{"sent":\#(sent)}"#)
    }
}
