import ControlAPI
import Testing

@testable import heddle

@Suite("Output for eyes")
struct OutputTests {
    @Test("aligns columns, wide characters and empty tables included")
    func table() {
        var table = Table(.text("NAME"), .number("COUNT"), .text("LAST"))
        #expect(table.rendered(colour: false) == "NAME  COUNT  LAST\n")
        table.append("web", Table.Cell(7), "x")
        table.append("織機", Table.Cell(1_000_000), Table.Cell(nil))  // two columns each
        table.append("e\u{301}", Table.Cell(-1), "")  // a combining accent takes none
        #expect(
            table.rendered(colour: false) == """
                NAME    COUNT  LAST
                web         7  x
                織機  1000000  -
                e\u{301}          -1  \n
                """)
    }

    @Test("colours cells without moving them, and only when asked")
    func colour() {
        var table = Table(.text("A"), .text("B"))
        table.append(Table.Cell("up", .good), "x")
        #expect(!table.rendered(colour: false).contains("\u{1B}"))
        #expect(
            table.rendered(colour: true)
                == "\u{1B}[1mA\u{1B}[0m   \u{1B}[1mB\u{1B}[0m\n\u{1B}[32mup\u{1B}[0m  x\n")
    }

    @Test("lets no name move the cursor")
    func controlCharacters() {
        var table = Table(.text("A"))
        table.append("a\u{1B}[2J\nb\t\u{9B}")
        let line = table.rendered(colour: false).split(separator: "\n")[1]
        #expect(line == "a\u{FFFD}[2J\u{FFFD}b\u{FFFD}\u{FFFD}")
    }

    @Test("shows a plan with its symbols")
    func plan() {
        let plan = PlanResult(
            changes: [
                PlanChange(symbol: "+", subject: "port a", text: "tap"),
                PlanChange(symbol: "-", subject: "port b", text: ""),
            ], notes: ["mtu too large"], summary: "1 to add, 1 to remove", isEmpty: false)
        #expect(
            planText(plan, colour: false)
                == "+ port a: tap\n- port b\nnote: mtu too large\n1 to add, 1 to remove\n")
        #expect(planText(plan, colour: true).hasPrefix("\u{1B}[32m+ port a\u{1B}[0m: tap\n"))
    }

    private func drop(_ port: String, _ reason: String, _ count: UInt64) -> DropInfo {
        DropInfo(
            port: port, network: nil, reason: reason, count: count, sentence: "s", remedy: "r")
    }

    @Test("shows of drops what is new, also after a restart")
    func dropDifference() {
        let old = DropList(drops: [drop("a", "x", 5), drop("a", "y", 5), drop("b", "x", 9)])
        let new = DropList(
            drops: [drop("a", "x", 7), drop("a", "y", 5), drop("b", "x", 2), drop("c", "x", 1)])
        let difference = difference(from: old, to: new).drops
        #expect(difference.map(\.port) == ["a", "b", "c"])
        #expect(difference.map(\.count) == [2, 2, 1])
    }

    @Test("tells each remedy once")
    func remedies() {
        let text = dropsText(DropList(drops: [drop("a", "x", 5), drop("b", "x", 4)]))
        #expect(text.split(separator: "\n").filter { $0 == "  remedy: r" }.count == 1)
        #expect(dropsText(DropList(drops: [])) == "nothing was dropped\n")
    }

    @Test("counts frames and drops of a pcapng stream, and survives one that is cut")
    func tally() {
        func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        let packet = word(6) + word(32) + [UInt8](repeating: 0, count: 20) + word(32)
        let statistics =
            word(5) + word(40) + word(0) + word(0) + word(0)
            + word(5 | 8 << 16) + word(3) + word(0)  // isb_ifdrop, 8 bytes: 3
            + word(0) + word(40)
        var tally = PcapngTally()
        tally.add(packet + packet)
        tally.add(packet + statistics)
        #expect(tally.summary == "3 frames, 3 dropped")
        tally.add(Array((packet + statistics).dropLast(5)))
        tally.add(word(6) + word(0) + word(0))
        #expect(tally.frameCount == 4)
    }
}
