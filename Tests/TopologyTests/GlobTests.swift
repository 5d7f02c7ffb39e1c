import Testing

@testable import Topology

/// A pattern, a text, and whether they match.
struct GlobRow: Sendable, CustomTestStringConvertible {
    let pattern: String
    let text: String
    let matches: Bool

    init(_ pattern: String, _ text: String, _ matches: Bool) {
        self.pattern = pattern
        self.text = text
        self.matches = matches
    }

    var testDescription: String { "'\(pattern)' and '\(text)'" }

    static let all: [GlobRow] = [
        GlobRow("vnet0", "vnet0", true),  // itself
        GlobRow("vnet0", "vnet00", false),  // the whole text has to match
        GlobRow("vnet", "vnet0", false),  // a beginning does not
        GlobRow("vnet*", "vnet", true),  // any text is also none
        GlobRow("vnet*", "vnet12", true),  // and much
        GlobRow("vnet*", "tap-vnet1", false),  // at its place
        GlobRow("*-tap", "web-1-tap", true),  // at the beginning
        GlobRow("*-tap", "web-tap-1", false),  // the end is the end
        GlobRow("vif?.0", "vif3.0", true),  // one character
        GlobRow("vif?.0", "vif12.0", false),  // not two
        GlobRow("vif?.0", "vif.0", false),  // not none
        GlobRow("a*b*c", "a-b-b-c", true),  // two texts
        GlobRow("a*b*c", "a-c-b", false),  // in this order
        GlobRow("*ab", "aab", true),  // a false start
        GlobRow("*aab*", "aaaab", true),  // and another
        GlobRow("*?", "", false),  // one at least
        GlobRow("*?*?*", "ab", true),  // two at least
        GlobRow("*?*?*", "a", false),  // one is fewer
        GlobRow("*", "", true),  // nothing
        GlobRow("", "", true),  // nothing at all
        GlobRow("", "a", false),  // something
        GlobRow("Vnet*", "vnet0", false),  // the kernel's names tell the case
        GlobRow("web ?", "web ä", true),  // a character is not a byte
        GlobRow("vnet.", "vnet0", false),  // a point is a point
    ]
}

@Suite("A pattern of names")
struct GlobTests {
    @Test(
        "matches the whole text, with '*' for any part and '?' for a character",
        arguments: GlobRow.all)
    func rows(_ row: GlobRow) {
        #expect(Glob.matches(row.text, row.pattern) == row.matches)
    }

    /// What a pattern means, said as its definition says it: slow and plain.
    private func reference(_ text: ArraySlice<Character>, _ pattern: ArraySlice<Character>) -> Bool
    {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" {
            return (text.startIndex...text.endIndex).contains {
                reference(text[$0...], pattern.dropFirst())
            }
        }
        guard let character = text.first, first == "?" || first == character else { return false }
        return reference(text.dropFirst(), pattern.dropFirst())
    }

    @Test("matches as its definition says, whatever it is", arguments: 0..<20 as Range<UInt64>)
    func generated(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let text = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                "ab".randomElement(using: &generator) ?? "a"
            }
            let pattern = (0..<Int.random(in: 0...7, using: &generator)).map { _ in
                "ab?**".randomElement(using: &generator) ?? "*"
            }
            #expect(
                Glob.matches(String(text), String(pattern)) == reference(text[...], pattern[...]),
                "'\(String(pattern))' and '\(String(text))'")
        }
    }

    @Test(
        "costs at most its length times the text's, however it is made to try",
        arguments: [
            String(repeating: "*a", count: 127) + "b",  // each '*' could take any number
            String(repeating: "a*", count: 127) + "b",  // and each letter stand anywhere
            String(repeating: "?*", count: 127) + "b",  // anything, and yet no end
            String(repeating: "*", count: 254) + "b",  // nothing but choice
            "*" + String(repeating: "a", count: 127) + "b",  // a long way to each mistake
        ])
    func adversarial(_ pattern: String) {
        let text = String(repeating: "a", count: 255)
        // 65,000 steps at most: in a debug build less than a tenth of a second.
        let duration = ContinuousClock().measure { #expect(!Glob.matches(text, pattern)) }
        #expect(duration < .seconds(5))
    }

    @Test("takes the devices for which all holds that is given")
    func devices() {
        func takes(_ match: DeviceMatch) -> Bool {
            match.matches(
                name: "vnet0", alternativeNames: ["guest-web-1"], alias: "web-1", group: 7)
        }
        #expect(takes(DeviceMatch(name: "vnet*")))
        #expect(takes(DeviceMatch(name: "guest-*")))
        #expect(takes(DeviceMatch(group: 7)))
        #expect(takes(DeviceMatch(alias: "web-?")))
        #expect(takes(DeviceMatch(name: "*0", group: 7, alias: "*")))
        #expect(!takes(DeviceMatch(name: "tap*")))
        #expect(!takes(DeviceMatch(group: 8)))
        #expect(!takes(DeviceMatch(name: "vnet*", group: 8)))
        #expect(!takes(DeviceMatch(name: "vnet*", alias: "db-*")))
        #expect(!takes(DeviceMatch()))
        let any = DeviceMatch(alias: "*")
        #expect(!any.matches(name: "vnet0", alias: nil, group: 0))
        #expect(!any.matches(name: "vnet0", alias: "", group: 0))
    }
}
