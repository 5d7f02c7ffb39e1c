import Foundation

/// Numbers as the table has them.
enum Figure {
    /// Three digits that count; ratios near 1 keep both decimals.
    static func short(_ value: Double) -> String {
        let digits = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 0.1 ? 2 : 3
        return value == value.rounded() && abs(value) < 1e15
            ? "\(Int(value))" : String(format: "%.\(digits)f", value)
    }
}
