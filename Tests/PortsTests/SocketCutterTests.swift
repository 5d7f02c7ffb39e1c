import TestSupport
import Testing

@testable import Ports

@Suite("A stream of frames is cut")
struct SocketCutterTests {
    /// What comes out when the stream comes in pieces.
    private func cut(
        _ pieces: [ArraySlice<UInt8>], frameLimit: Int = 2000, capacity: Int = 4096,
        frames perRoom: Int = 64
    ) -> (frames: [[UInt8]], fault: UInt32?, remaining: Int) {
        var cutter = StreamCutter(capacity: capacity, frameLimit: frameLimit)
        var frames: [[UInt8]] = []
        for piece in pieces {
            var piece = piece
            while !piece.isEmpty {
                let room = cutter.room(frames: perRoom)
                #expect(room.count > 0)
                let count = min(room.count, piece.count)
                room.copyBytes(from: piece.prefix(count))
                cutter.filled(count)
                piece = piece.dropFirst(count)
                cutting: while true {
                    let says = cutter.hasCut
                    switch cutter.next() {
                    case .frame(let frame):
                        #expect(says)
                        frames.append(Array(frame))
                    case .incomplete:
                        #expect(!says)
                        break cutting
                    case .malformed(let length):
                        #expect(says)
                        return (frames, length, cutter.byteCount)
                    }
                }
            }
        }
        return (frames, nil, cutter.byteCount)
    }

    @Test("at every byte border alike")
    func everyBorder() {
        let frames = [14, 1, 60, 300, 2].map {
            [UInt8]((0..<$0).map { UInt8(truncatingIfNeeded: $0) })
        }
        let stream = FrameStream.encode(frames)
        for border in 0...stream.count {
            let result = cut([stream[..<border], stream[border...]])
            #expect(result.frames == frames)
            #expect(result.remaining == 0)
        }
    }

    @Test("byte by byte, and with hardly any room")
    func tight() {
        let frames = [1999, 2000, 1, 2000].map { NumberedFrame.make($0, byteCount: max($0, 4)) }
        let stream = FrameStream.encode(frames)
        #expect(cut(stream.indices.map { stream[$0..<$0 + 1] }).frames == frames)
        #expect(cut([stream[...]], capacity: 2004, frames: 1).frames == frames)
    }

    @Test(
        "until a length that cannot be, and no further",
        arguments: [0, 2001, 65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF] as [UInt32])
    func malformed(length: UInt32) {
        let good = NumberedFrame.make(7, byteCount: 100)
        let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
        let stream = FrameStream.encode([good, good]) + header + FrameStream.encode(good)
        for border in 0...stream.count {
            let result = cut([stream[..<border], stream[border...]])
            #expect(result.frames == [good, good])
            #expect(result.fault == length)
        }
    }

    @Test("as a plain parser does, whatever the bytes and the pieces are", arguments: 0..<300)
    func random(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var stream: [UInt8] = []
        while stream.count < 20_000 {
            switch Int.random(in: 0..<40, using: &random) {
            case 0 where seed % 2 == 0:
                stream += random.bytes(Int.random(in: 1...9, using: &random))
            case 1...9:
                stream += FrameStream.encode(random.bytes(Int.random(in: 1...20, using: &random)))
            default:
                stream += FrameStream.encode(random.bytes(Int.random(in: 1...2000, using: &random)))
            }
        }
        var pieces: [ArraySlice<UInt8>] = []
        var place = 0
        while place < stream.count {
            let longest = [3, 100, 5000].randomElement(using: &random) ?? 1
            let count = min(Int.random(in: 1...longest, using: &random), stream.count - place)
            pieces.append(stream[place..<place + count])
            place += count
        }
        let result = cut(pieces, frames: Int.random(in: 1...64, using: &random))
        let expected = SocketCutterTests.parse(stream, frameLimit: 2000)
        #expect(result.frames == expected.frames)
        #expect(result.fault == expected.fault)
        if expected.fault == nil { #expect(result.remaining == expected.rest) }
    }

    /// The same by the book.
    private static func parse(
        _ stream: [UInt8], frameLimit: Int
    ) -> (frames: [[UInt8]], fault: UInt32?, rest: Int) {
        var frames: [[UInt8]] = []
        var place = 0
        while stream.count - place >= 4 {
            let length = stream[place..<place + 4].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
            guard length > 0, length <= frameLimit else { return (frames, length, 0) }
            guard stream.count - place - 4 >= length else { break }
            frames.append(Array(stream[place + 4..<place + 4 + Int(length)]))
            place += 4 + Int(length)
        }
        return (frames, nil, stream.count - place)
    }

    @Test("with no more asked for than a burst of frames like the last ones has")
    func readAhead() {
        var cutter = StreamCutter(capacity: 128 * 1024, frameLimit: 65_557)
        var stream: [UInt8] = []
        var number = 0
        /// Fills the room from an endless stream of frames of that length; how many are cut.
        func feed(_ byteCount: Int) -> Int {
            let room = cutter.room(frames: 64)
            while stream.count < room.count {
                stream += FrameStream.encode(NumberedFrame.make(number, byteCount: byteCount))
                number += 1
            }
            room.copyBytes(from: stream.prefix(room.count))
            stream.removeFirst(room.count)
            cutter.filled(room.count)
            var count = 0
            while case .frame = cutter.next() { count += 1 }
            return count
        }
        _ = feed(60)
        _ = feed(60)
        #expect(feed(60) == 64)
        #expect(feed(60) == 64)
        for _ in 0..<4 { _ = feed(1514) }
        #expect(feed(1514) == 64)
        #expect(feed(1514) == 64)
        cutter.reset()
        let remaining = cutter.byteCount
        #expect(remaining == 0)
    }
}
