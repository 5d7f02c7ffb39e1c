/// The candidate nearest to `word`, if one is near enough to be what was meant: at most a third of
/// the letters differ. Ties go to the candidate that comes first.
///
/// The distance is optimal string alignment: insertions, deletions, substitutions and swaps of
/// neighbours count one each. O(word × candidate) for each candidate of similar length.
package func nearestWord(to word: String, among candidates: some Sequence<String>) -> String? {
    let letters = Array(word.lowercased().utf8.prefix(64))
    let threshold = max(1, letters.count / 3)
    var best: (word: String, distance: Int)?
    for candidate in candidates {
        let other = Array(candidate.lowercased().utf8.prefix(64))
        guard abs(other.count - letters.count) <= threshold else { continue }
        let distance = editDistance(letters, other)
        if distance <= min(threshold, (best?.distance ?? .max) - 1) {
            best = (candidate, distance)
        }
    }
    return best?.word
}

private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for row in 0..<left.count {
        var current = [row + 1]
        for column in 0..<right.count {
            var distance = min(
                previous[column + 1] + 1,
                current[column] + 1,
                previous[column] + (left[row] == right[column] ? 0 : 1))
            if row > 0, column > 0, left[row] == right[column - 1],
                left[row - 1] == right[column]
            {
                distance = min(distance, beforePrevious[column - 1] + 1)
            }
            current.append(distance)
        }
        beforePrevious = previous
        previous = current
    }
    return previous[right.count]
}
