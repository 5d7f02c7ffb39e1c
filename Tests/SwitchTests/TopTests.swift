import ControlAPI
import Foundation
import Testing

@testable import heddle

@Suite("heddle top")
struct TopTests {
    private func row(
        _ name: String, _ received: UInt64, _ transmitted: UInt64 = 0, drops: UInt64 = 0
    ) -> TopSample.Row {
        TopSample.Row(
            name: name, state: .up, receivedFrames: received, receivedBytes: received * 100,
            transmittedFrames: transmitted, transmittedBytes: transmitted * 100, drops: drops)
    }

    private func sample(
        _ uptime: Double, _ rows: [TopSample.Row], drops: [DropInfo] = []
    ) -> TopSample {
        TopSample(uptimeSeconds: uptime, rows: rows, drops: DropList(drops: drops))
    }

    private func drop(_ port: String, _ reason: String, _ count: UInt64) -> DropInfo {
        DropInfo(port: port, reason: reason, count: count, sentence: "s", remedy: "r")
    }

    @Test("divides by the time that passed at the switch")
    func rates() throws {
        let reading = try #require(
            TopReading(
                from: sample(10, [row("a", 100, 50)], drops: [drop("a", "hairpin", 4)]),
                to: sample(
                    12, [row("a", 300, 60, drops: 8)],
                    drops: [drop("a", "hairpin", 8), drop("a", "runt", 1)])))
        #expect(reading.seconds == 2)
        #expect(
            reading.rows == [
                TopReading.Row(
                    name: "a", state: .up, receivedFrames: 100, receivedBits: 80_000,
                    transmittedFrames: 5, transmittedBits: 4000, drops: 4)
            ])
        #expect(reading.drops.map(\.reason) == ["hairpin", "runt"])
        #expect(reading.drops.map(\.rate) == [2, 0.5])
    }

    @Test("counts all of a port as new that came, or that began anew, and of a new switch")
    func resets() throws {
        let reading = try #require(
            TopReading(
                from: sample(1, [row("a", 100), row("gone", 5)]),
                to: sample(2, [row("a", 30), row("new", 7)])))
        #expect(reading.rows.map(\.name) == ["a", "new"])
        #expect(reading.rows.map(\.receivedFrames) == [30, 7])
        let restarted = try #require(
            TopReading(from: sample(500, [row("a", 100)]), to: sample(4, [row("a", 40)])))
        #expect(restarted.rows[0].receivedFrames == 10)
        #expect(TopReading(from: sample(5, []), to: sample(5, [])) == nil)
    }

    @Test("takes a port's drops from where the kernel's are counted as well")
    func kernelDrops() throws {
        let stats = StatsInfo(
            uptimeSeconds: 1, generation: 1, totals: TrafficCounters(), fdb: FDBStats(),
            workers: [],
            ports: [PortStats(name: "a", state: .down, counters: TrafficCounters())])
        let sample = TopSample(
            ports: stats,
            drops: DropList(drops: [drop("a", "device-queue-full", 3), drop("a", "runt", 1)]))
        #expect(sample.rows.map(\.drops) == [4])
        #expect(sample.rows.map(\.state) == [.down])
    }

    @Test("sorts by what is asked for, equal rows by name")
    func order() throws {
        var reading = try #require(
            TopReading(
                from: sample(0, []),
                to: sample(
                    1,
                    [row("c", 1, 9), row("a", 5, 1, drops: 1), row("b", 5, 2), row("d", 0, 9)])))
        let orders: [(TopOrder, [String])] = [
            (.rx, ["a", "b", "c", "d"]), (.tx, ["c", "d", "b", "a"]),
            (.drops, ["a", "b", "c", "d"]), (.name, ["a", "b", "c", "d"]),
        ]
        for (order, names) in orders {
            reading.sort(by: order)
            #expect(reading.rows.map(\.name) == names, "\(order)")
        }
        #expect(Set(TopOrder.allCases.map(\.key)).count == TopOrder.allCases.count)
    }

    @Test(
        "writes a rate in few digits",
        arguments: [
            (0, "0"),
            (0.04, "0.0"),  // little, but not nothing
            (0.25, "0.3"),
            (9.94, "9.9"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1.00k"),  // not 1000
            (1234, "1.23k"),
            (9996, "10.0k"),
            (123_456, "123.5k"),
            (999_960, "1.00M"),
            (12_345_678_901, "12.3G"),
            (3e21, "3000.0E"),  // no prefix beyond
            (-1, "0"),
        ])
    func rateTexts(_ rate: Double, _ text: String) {
        #expect(rateText(rate) == text)
    }

    @Test("draws the last twenty values against their highest")
    func sparklines() throws {
        #expect(sparkline([]) == "")
        #expect(sparkline([0, 0]) == "▁▁")
        #expect(sparkline([0, 1, 50, 100]) == "▁▂▅█")
        var history = TopHistory()
        for number in 0..<30 {
            history.add(
                try #require(
                    TopReading(
                        from: sample(0, []), to: sample(1, [row("a", number < 10 ? 1000 : 1)]))))
        }
        #expect(history.sparkline(of: "a") == String(repeating: "█", count: 20))
        #expect(history.sparkline(of: "b") == "")
        history.add(try #require(TopReading(from: sample(0, []), to: sample(1, []))))
        #expect(history.sparkline(of: "a") == "", "a port that went is forgotten")
    }

    private func reading(_ count: Int, name: String = "port-") throws -> (TopReading, TopHistory) {
        let rows = (0..<count).map { row("\(name)\($0)", UInt64($0) * 1000, 5, drops: 1) }
        let reading = try #require(
            TopReading(
                from: sample(0, []),
                to: sample(3700, rows, drops: [drop("port-0", "egress-full", 7400)])))
        var history = TopHistory()
        history.add(reading)
        return (reading, history)
    }

    @Test("shows everything where there is room")
    func wide() throws {
        let (reading, history) = try reading(2)
        let lines = TopScreen().lines(reading, history, width: 120, height: 24, colour: false)
        #expect(
            lines == [
                "heddle top by rx: up 1 h 1 min, 2 ports, rx 216bit/s, tx 2.2bit/s, 0.0 drops/s",
                "PORT    STATE  RX FRAMES/S  RX BIT/S  TX FRAMES/S  TX BIT/S  DROPS/S  LAST 20",
                "port-0  up               0         0          0.0       1.1      0.0  █",
                "port-1  up             0.3       216          0.0       1.1      0.0  █",
                "2.0 drops/s at port-0: egress-full",
                "q quit  r t d n sort  v networks  ↑↓ scroll",
            ])
    }

    @Test(
        "fits every size of terminal, and shows names and numbers on the smallest that is sensible",
        arguments: [(200, 50), (80, 24), (60, 10), (40, 5), (33, 3), (10, 2), (1, 1)])
    func sizes(_ width: Int, _ height: Int) throws {
        let (reading, history) = try reading(100, name: "a-very-long-name-of-a-port-")
        var screen = TopScreen()
        for offset in [0, 50, 1000] {
            screen.offset = offset
            screen.offset = screen.clampedOffset(rowCount: 100, height: height)
            let lines = screen.lines(
                reading, history, width: width, height: height, colour: false)
            #expect(lines.count <= height && !lines.isEmpty)
            if width >= 33 {
                #expect(lines.allSatisfy { columnCount(of: $0) <= width }, "\(lines)")
            }
            if width >= 33, height >= 3 { #expect(lines[2].hasPrefix("a"), "\(lines)") }
        }
        // The last row can be reached.
        let lines = screen.lines(reading, history, width: 200, height: height, colour: false)
        if height >= 10 { #expect(lines.contains { $0.contains("port-99 ") }) }
    }

    @Test("lets no name move the cursor, and colours only when asked")
    func hostileNames() throws {
        let (reading, history) = try reading(1, name: "\u{1B}[2J")
        let plain = TopScreen().lines(reading, history, width: 80, height: 9, colour: false)
        #expect(!plain.joined().contains("\u{1B}"))
        let colour = TopScreen().lines(reading, history, width: 80, height: 9, colour: true)
        #expect(colour.joined().contains("\u{1B}[1m"))
    }

    @Test("says that there is nothing to show")
    func empty() throws {
        let nothing = try #require(TopReading(from: sample(0, []), to: sample(1, [])))
        var screen = TopScreen()
        func lines() -> [String] {
            screen.lines(nothing, TopHistory(), width: 80, height: 9, colour: false)
        }
        #expect(lines()[1] == "there are no ports")
        screen.showsNetworks = true
        #expect(lines()[1] == "there are no networks")
    }

    @Test("writes a reading as a line of JSON with stable names")
    func json() throws {
        let reading = try #require(
            TopReading(
                from: sample(1, [row("a", 1)]),
                to: sample(2, [row("a", 3, 1, drops: 2)], drops: [drop("a", "runt", 2)])))
        #expect(
            try reading.json() == #"""
                {"drops":[{"per_second":2,"port":"a","reason":"runt"}],"interval_seconds":1,"rows":[{"drops_per_second":2,"name":"a","received_bits_per_second":1600,"received_frames_per_second":2,"state":"up","transmitted_bits_per_second":800,"transmitted_frames_per_second":1}],"uptime_seconds":2}

                """#)
    }

    @Test("knows the keys that it names, and no others")
    func keys() {
        #expect(TerminalScreen.key(in: [0x71]) == .character("q"))
        #expect(TerminalScreen.key(in: Array("\u{1B}[A".utf8)[...]) == .up)
        #expect(TerminalScreen.key(in: Array("\u{1B}OB".utf8)[...]) == .down)
        #expect(TerminalScreen.key(in: Array("\u{1B}[5~".utf8)[...]) == nil)
        #expect(TerminalScreen.key(in: [0x04]) == nil)
        #expect(TerminalScreen.key(in: []) == nil)
    }
}
