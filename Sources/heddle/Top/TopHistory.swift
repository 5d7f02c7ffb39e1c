/// The last readings of every row, for their sparklines.
struct TopHistory {
    static let length = 20

    private var values: [String: [Double]] = [:]

    /// Adds a reading; a row that is no longer there is forgotten.
    mutating func add(_ reading: TopReading) {
        var next: [String: [Double]] = [:]
        for row in reading.rows {
            next[row.name] = (values[row.name] ?? []).suffix(Self.length - 1) + [row.bits]
        }
        values = next
    }

    /// The row's bits per second, the newest last, against its own highest.
    func sparkline(of name: String) -> String { heddle.sparkline(values[name] ?? []) }
}

/// A value as a block of an eighth to eight eighths of the highest. Nothing is the lowest block,
/// and the least that is more than nothing the next, so that a trickle beside a flood can be seen.
func sparkline(_ values: [Double]) -> String {
    let blocks: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    let highest = values.max() ?? 0
    return String(
        values.map { value in
            guard value > 0, highest > 0 else { return blocks[0] }
            return blocks[min(1 + Int(value / highest * 7), 7)]
        })
}

/// A rate in three or four digits with an SI prefix: `0`, `0.2`, `950`, `1.23k`, `12.3M`.
func rateText(_ rate: Double) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"]
    var (value, place) = (max(rate, 0), 0)
    // 999.5 would be written as 1000.
    while value >= (place == 0 ? 999.5 : 999.95), place < prefixes.count - 1 {
        value /= 1000
        place += 1
    }
    let decimals = place == 0 ? (value < 9.95 && value > 0 ? 1 : 0) : value < 9.995 ? 2 : 1
    return decimalText(value, decimals) + prefixes[place]
}

/// Rounded half up; `%f` would need Foundation's formatting in a loop over thousands of rows.
private func decimalText(_ value: Double, _ decimals: Int) -> String {
    let scale = decimals == 0 ? 1.0 : decimals == 1 ? 10 : 100
    let number = Int((value * scale).rounded())
    guard decimals > 0 else { return "\(number)" }
    let whole = number / Int(scale)
    let rest = "\(number % Int(scale))"
    return "\(whole)." + String(repeating: "0", count: decimals - rest.count) + rest
}
