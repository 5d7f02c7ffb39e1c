import Dispatch
import Foundation
import Synchronization

/// Work that waits for the kernel, on several threads at once.
///
/// Removing a device takes the kernel some 25 ms, of which it works a fraction and waits for grace
/// periods the rest; several removals wait together. The threads are their own: work of this kind
/// would starve Swift's pool and a dispatch queue.
enum ConcurrentForEach {
    private static let width = 16

    /// Calls `body` for every element and returns when all calls have. Order is not kept.
    static func run<Element: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) -> Void
    ) {
        guard elements.count > 1 else {
            elements.forEach(body)
            return
        }
        let cursor = Cursor()
        let group = DispatchGroup()
        for _ in 0..<min(width, elements.count) {
            group.enter()
            Thread {
                while true {
                    let place = cursor.next()
                    guard place < elements.count else { break }
                    body(elements[place])
                }
                group.leave()
            }.start()
        }
        group.wait()
    }

    private final class Cursor: Sendable {
        private let place = Atomic<Int>(0)
        func next() -> Int { place.add(1, ordering: .relaxed).oldValue }
    }
}
