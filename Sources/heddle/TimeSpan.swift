import ArgumentParser

/// A time as people write it: `10`, `10s`, `500ms`, `2m`, `1h`.
struct TimeSpan: ExpressibleByArgument {
    let seconds: Double

    private static let units: [(suffix: String, seconds: Double)] = [
        ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600),
    ]

    init?(argument: String) {
        var number = Substring(argument)
        var factor = 1.0
        if let unit = TimeSpan.units.first(where: { argument.hasSuffix($0.suffix) }) {
            number = argument.dropLast(unit.suffix.count)
            factor = unit.seconds
        }
        guard let value = Double(number), value > 0, value * factor <= 1e8 else { return nil }
        seconds = value * factor
    }
}
