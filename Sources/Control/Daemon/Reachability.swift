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
    /// By row (from) and column (to); nil on the diagonal.
    package let reaches: [[Bool?]]

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
        let pairs = endpoints.indices.flatMap { from in
            endpoints.indices.compactMap { to in from == to ? nil : (from, to) }
        }
        let results = Mutex([[Bool?]](
            repeating: [Bool?](repeating: nil, count: endpoints.count), count: endpoints.count))
        let group = DispatchGroup()
        for (from, to) in pairs {
            group.enter()
            Thread {
                let outcome = try? ChildProcess.run(
                    ["ping", "-n", "-q", "-c", "1", "-W", "1", endpoints[to].address],
                    in: endpoints[from].namespace.descriptor, timeout: .seconds(5))
                results.withLock { $0[from][to] = outcome?.isSuccess ?? false }
                group.leave()
            }.start()
        }
        group.wait()
        return Reachability(endpoints: endpoints, reaches: results.withLock { $0 })
    }

    /// The square as lines of text: rows ping columns.
    package var lines: [String] {
        let names = endpoints.map(\.port)
        let width = names.map(\.count).max() ?? 0
        func padded(_ text: String, _ count: Int) -> String {
            text + String(repeating: " ", count: max(0, count - text.count))
        }
        var lines = [
            padded("", width) + "  " + names.joined(separator: "  ")
        ]
        for (row, name) in names.enumerated() {
            let cells = names.indices.map { column -> String in
                let mark: String
                switch reaches[row][column] {
                case .some(true): mark = "yes"
                case .some(false): mark = "no"
                case .none: mark = "-"
                }
                return padded(mark, names[column].count)
            }
            lines.append(padded(name, width) + "  " + cells.joined(separator: "  "))
        }
        return lines
    }
}
