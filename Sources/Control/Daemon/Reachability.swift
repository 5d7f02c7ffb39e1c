import Foundation
import Synchronization
import SystemPackage
import Topology
import Wire

/// Who reaches whom, measured: one real ping from every namespace to every other's address.
package struct Reachability: Sendable {
    package struct Endpoint: Sendable {
        package let port: String
        let namespace: NetworkNamespace
        let address: String
    }

    package let endpoints: [Endpoint]
    /// What a ping can say of a pair.
    package enum Answer: String, Sendable {
        case yes
        case no
        /// The same host.
        case own = "-"
        /// Several hosts have the address, so that an answer does not tell whose it is.
        case ambiguous = "?"
    }

    /// By row (from) and column (to).
    package let answers: [[Answer]]

    /// Beyond this the square is neither quick to measure nor readable.
    private static let endpointLimit = 16

    /// Pings from every TAP port that has a namespace and an address to every other, all at once;
    /// about a second. Nil when there are fewer than two such ports, too many, or no ping program.
    package static func measure(_ controller: Controller) -> Reachability? {
        let endpoints = controller.model.withLock { $0.ports }.compactMap { port -> Endpoint? in
            guard case .tap(let tap) = port.spec.attachment, let address = tap.addresses.first,
                let namespace = port.device?.namespace
            else { return nil }
            return Endpoint(
                port: port.spec.name, namespace: namespace, address: "\(address.address)")
        }
        guard endpoints.count >= 2, endpoints.count <= endpointLimit,
            (try? ChildProcess.run(["ping", "-V"], timeout: .seconds(5)))?.isSuccess == true
        else { return nil }
        var square = [[Answer]](
            repeating: [Answer](repeating: .ambiguous, count: endpoints.count),
            count: endpoints.count)
        var pairs: [(from: Int, to: Int)] = []
        for from in endpoints.indices {
            for to in endpoints.indices {
                if from == to {
                    square[from][to] = .own
                } else if endpoints.filter({ $0.address == endpoints[to].address }).count == 1 {
                    pairs.append((from, to))
                }
            }
        }
        let results = Mutex(square)
        let group = DispatchGroup()
        for (from, to) in pairs {
            group.enter()
            Thread {
                let outcome = try? ChildProcess.run(
                    ["ping", "-n", "-q", "-c", "1", "-W", "1", endpoints[to].address],
                    in: endpoints[from].namespace.descriptor, timeout: .seconds(5))
                results.withLock { $0[from][to] = outcome?.isSuccess == true ? .yes : .no }
                group.leave()
            }.start()
        }
        group.wait()
        return Reachability(endpoints: endpoints, answers: results.withLock { $0 })
    }

    /// The square as lines of text: rows ping columns.
    package var lines: [String] {
        let names = endpoints.map(\.port)
        let width = names.map(\.count).max() ?? 0
        func padded(_ text: String, _ count: Int) -> String {
            text + String(repeating: " ", count: max(0, count - text.count))
        }
        // A column is as wide as its name, and as "yes".
        func cell(_ text: String, _ column: Int) -> String {
            padded(text, max(names[column].count, 3))
        }
        var lines = [
            padded("", width) + "  "
                + names.indices.map { cell(names[$0], $0) }.joined(separator: "  ")
        ]
        for (row, name) in names.enumerated() {
            let cells = names.indices.map { column in
                cell(answers[row][column].rawValue, column)
            }
            lines.append(padded(name, width) + "  " + cells.joined(separator: "  "))
        }
        if answers.contains(where: { $0.contains(.ambiguous) }) {
            lines.append("")
            lines.append("?: several hosts have this address, a ping cannot tell them apart")
        }
        return lines.map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}
