// A running capture, seen from the client: blocks come from the data socket and go to the sink
// until the switch closes. A signal, or the end of the duration, asks the switch to stop, which
// sends its last statistics and closes; a second signal, or five seconds of silence, ends the wait.
// A reader that has gone ends it at once. Progress is shown on a terminal only.

import Control
import ControlAPI
import Glibc

struct CaptureStream {
    private static let patienceMilliseconds: Int32 = 5000

    private let socket: SeqpacketSocket
    private let signals: SignalDescriptor
    private let sink: CaptureSink
    private let end: ContinuousClock.Instant?
    private var tally = PcapngTally()
    private var isStopping = false

    init(
        socket: SeqpacketSocket, signals: SignalDescriptor, sink: CaptureSink, duration: Double?
    ) {
        self.socket = socket
        self.signals = signals
        self.sink = sink
        end = duration.map { ContinuousClock.now.advanced(by: .seconds($0)) }
    }

    mutating func run() throws {
        var shown = ContinuousClock.now
        loop: while true {
            var entries = [
                pollfd(fd: socket.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
                pollfd(fd: signals.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&entries, 2, waitMilliseconds)
            if ready == 0, isStopping { break }
            if entries[1].revents != 0, signals.next() != nil {
                if isStopping { break }
                try stop()
            } else if !isStopping, let end, ContinuousClock.now >= end {
                try stop()
            }
            if entries[0].revents != 0 {
                switch try socket.receive(upTo: 512 << 10, descriptors: 0) {
                case .message(let message):
                    tally.add(message.bytes)
                    guard try sink.write(message.bytes) else { return }
                case .closed: break loop
                case .wouldBlock: break
                }
            }
            if Terminal.isErrorTerminal, ContinuousClock.now - shown > .milliseconds(500) {
                shown = ContinuousClock.now
                Terminal.writeError("\r\(tally.summary)\u{1B}[K")
            }
        }
        if Terminal.isErrorTerminal { Terminal.writeError("\r\(tally.summary)\u{1B}[K\n") }
    }

    private var waitMilliseconds: Int32 {
        if isStopping { return Self.patienceMilliseconds }
        guard let end else { return -1 }
        let left = ContinuousClock.now.duration(to: end) / .milliseconds(1)
        return Int32(max(0, min(left, 60_000)).rounded(.up))
    }

    private mutating func stop() throws {
        isStopping = true
        try socket.send(try DataRequest.stop.json())
    }
}

/// Counts the frames of a pcapng stream and what its statistics call dropped, without keeping it
/// (draft-ietf-opsawg-pcapng: block type, total length, body, total length; host byte order, since
/// the stream comes from this machine). Stops counting at what it cannot read.
struct PcapngTally {
    private(set) var frameCount: UInt64 = 0
    private var drops: [UInt32: UInt64] = [:]

    var droppedCount: UInt64 { drops.values.reduce(0, &+) }

    var summary: String {
        counted(frameCount, "frame") + (droppedCount > 0 ? ", \(droppedCount) dropped" : "")
    }

    /// - Parameter bytes: Whole blocks.
    mutating func add(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 12 <= buffer.count {
                let type = buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
                guard length >= 12, length % 4 == 0, length <= buffer.count - offset else { return }
                switch type {
                case 6: frameCount += 1
                case 5 where length >= 24:
                    let body = UnsafeRawBufferPointer(
                        rebasing: buffer[offset + 8..<offset + length - 4])
                    addStatistics(body)
                default: break
                }
                offset += length
            }
        }
    }

    /// Interface statistics: interface, time stamp, then options; isb_ifdrop is 5, isb_osdrop 7.
    private mutating func addStatistics(_ body: UnsafeRawBufferPointer) {
        let interface = body.loadUnaligned(as: UInt32.self)
        var offset = 12
        var sum: UInt64 = 0
        while offset + 4 <= body.count {
            let code = body.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
            let length = Int(body.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self))
            guard code != 0, offset + 4 + length <= body.count else { break }
            if code == 5 || code == 7, length == 8 {
                sum &+= body.loadUnaligned(fromByteOffset: offset + 4, as: UInt64.self)
            }
            offset += 4 + (length + 3) & ~3
        }
        drops[interface] = sum
    }
}
