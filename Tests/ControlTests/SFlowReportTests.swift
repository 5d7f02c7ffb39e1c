import Foundation
import Synchronization
import Testing
import Topology
import Wire

@testable import Control

@Suite("What an sFlow collector is told")
struct SFlowReportTests {
    /// A datagram's samples, read by their lengths.
    private struct Told {
        var sequence: UInt32
        /// Type and words of each sample.
        var samples: [(type: UInt32, words: [UInt32])] = []

        /// Of a datagram from an IPv4 agent.
        init(_ bytes: [UInt8]) {
            let words = stride(from: 0, to: bytes.count, by: 4).map { place in
                bytes[place..<place + 4].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
            }
            sequence = words[4]
            var place = 7
            while place < words.count {
                let count = Int(words[place + 1]) / 4
                samples.append((words[place], Array(words[place + 2..<place + 2 + count])))
                place += 2 + count
            }
        }
    }

    private final class Ports: Sendable {
        let numbers = Mutex<[UInt16]>([0, 1])
    }

    private func report(
        _ ports: Ports, polling: Int = 20, header: Int = 128
    ) throws -> SFlowReport {
        let spec = SFlowSpec(
            collector: try #require(UDPEndpoint("192.0.2.9:6343")), sampling: 10,
            pollingSeconds: polling, headerByteCount: header)
        return SFlowReport(
            spec: spec,
            source: SFlowExporter.Source(
                ports: { ports.numbers.withLock { $0 } },
                counters: { number in
                    guard ports.numbers.withLock({ $0.contains(number) }) else { return nil }
                    return SFlowDatagram.CounterSample(
                        sequence: 0, port: UInt32(number) + 1, name: "p\(number)",
                        isEnabled: true, isUp: true, receivedBytes: 0, receivedFrames: 0,
                        receivedDrops: 0, transmittedBytes: 0, transmittedFrames: 0,
                        transmittedDrops: 0)
                },
                received: { 100 + UInt64($0) }, uptimeMilliseconds: { 5 }))
    }

    @Test("samples are numbered by port, with pool, drops and a header that is cut")
    func flows() throws {
        var report = try report(Ports(), header: 16)
        var told: [Told] = []
        func send(_ bytes: [UInt8]) -> Bool {
            told.append(Told(bytes))
            return true
        }
        for (port, drops) in [(UInt16(0), UInt64(0)), (1, 0), (0, 3)] {
            report.add(
                port: port, output: .unknown, originalByteCount: 60,
                header: [UInt8](repeating: 1, count: 60), ringDrops: drops, send)
        }
        #expect(told.isEmpty, "they are told together")
        report.flush(send)
        let samples = told.flatMap(\.samples)
        #expect(told.map(\.sequence) == [1])
        #expect(samples.map(\.type) == [1, 1, 1])
        // Sequence, source, rate, pool, drops.
        let heads: [[UInt32]] = samples.map { Array($0.words[..<5]) }
        #expect(heads == [[1, 1, 10, 100, 0], [1, 2, 10, 101, 0], [2, 1, 10, 100, 3]])
        #expect(samples.allSatisfy { $0.words[13] == 16 }, "bytes of the header")
        report.flush(send)
        #expect(told.count == 1, "nothing is nothing")
    }

    @Test("a datagram that the socket does not take is told as drops, and its number is missing")
    func losses() throws {
        var report = try report(Ports())
        func add(_ port: UInt16) {
            report.add(
                port: port, output: .unknown, originalByteCount: 60, header: [1, 2],
                ringDrops: 1, { _ in false })
        }
        add(0)
        add(0)
        add(1)
        report.flush { _ in false }
        var told: Told?
        add(0)
        add(1)
        report.flush {
            told = Told($0)
            return true
        }
        let last = try #require(told)
        #expect(last.sequence == 2)
        #expect(last.samples.map { $0.words[4] } == [3, 2], "one of each was the ring's")
        #expect(last.samples.map { $0.words[0] } == [3, 2])
    }

    @Test("datagrams fit an Ethernet path, and nothing is lost between them")
    func sizes() throws {
        var report = try report(Ports(), header: 1024)
        var sizes: [Int] = []
        var count = 0
        func send(_ bytes: [UInt8]) -> Bool {
            sizes.append(bytes.count)
            count += Told(bytes).samples.count
            return true
        }
        for number in 0..<200 {
            report.add(
                port: 0, output: .unknown, originalByteCount: 1500,
                header: [UInt8](repeating: 1, count: 14 + number * 7), ringDrops: 0, send)
        }
        report.flush(send)
        #expect(count == 200)
        #expect(sizes.allSatisfy { $0 <= SFlowDatagram.byteLimit })
        #expect(sizes.count < 200)
    }

    @Test("counters of all ports are told once an interval, spread over it")
    func polling() throws {
        let ports = Ports()
        ports.numbers.withLock { $0 = Array(0..<10) }
        var report = try report(ports, polling: 10)
        var told: [[UInt32]] = []
        func turn(_ seconds: Double) {
            var sources: [UInt32] = []
            let send = { (bytes: [UInt8]) in
                sources += Told(bytes).samples.map { $0.words[1] }
                return true
            }
            report.addCounters(at: UInt64(1e9 + seconds * 1e9), send)
            report.flush(send)
            told.append(sources)
        }
        for second in 0..<10 { turn(Double(second) + 0.5) }
        let singles: [[UInt32]] = (1...10).map { [UInt32($0)] }
        #expect(told == singles)
        told = []
        // A port goes and another comes in the middle of an interval: the first is not told, the
        // second from the next interval on.
        turn(10.6)
        ports.numbers.withLock { $0 = Array(0..<5) + [20] }
        for second in 11..<31 { turn(Double(second) + 0.5) }
        let first: [UInt32] = told.prefix(10).flatMap { $0 }.sorted()
        let next: [UInt32] = told.dropFirst(10).flatMap { $0 }
        #expect(first == [1, 2, 3, 4, 5])
        #expect(next.contains(21))
        // After a pause every port is told once more, not as often as was missed.
        told = []
        turn(500)
        turn(509.9)
        let all: [UInt32] = told.flatMap { $0 }.sorted()
        #expect(all == [1, 2, 3, 4, 5, 21])
    }
}
