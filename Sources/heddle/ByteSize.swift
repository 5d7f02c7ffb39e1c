import ArgumentParser

/// A size as people write it: `500000`, `100K`, `10M`, `2G`, in powers of 1024.
struct ByteSize: ExpressibleByArgument {
    let byteCount: Int

    private static let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]

    init?(argument: String) {
        var number = Substring(argument)
        var factor = 1
        if let last = argument.last, let unit = ByteSize.units[last] {
            number = argument.dropLast()
            factor = unit
        }
        guard let value = Int(number), value > 0, value <= (1 << 50) / factor else { return nil }
        byteCount = value * factor
    }
}
