import ControlAPI
import Foundation
import Logging
import Netlink
import TestSupport

@testable import Control

/// A controller with its state and its namespaces in a directory of its own, in a fresh namespace.
struct ControllerLab: Sendable {
    let controller: Controller
    let folder: TemporaryDirectory

    var namespaces: String { folder.path("netns") }

    /// Runs `body` with a switch on which `topology` stands, and stops it. It blocks for seconds, so
    /// not on a thread of Swift's concurrency pool: tests of asynchronous code need those meanwhile.
    static func with(
        _ topology: String, _ body: @escaping @Sendable (ControllerLab) throws -> Void
    ) async throws {
        try await blocking {
            try inFreshNamespace {
                try TemporaryDirectory.with { folder in
                    let lab = try ControllerLab(folder: folder)
                    defer { lab.controller.stop() }
                    try lab.apply(topology)
                    try body(lab)
                }
            }
        }
    }

    private init(folder: TemporaryDirectory) throws {
        self.folder = folder
        var log = Logger(label: "test")
        log.logLevel = .critical
        controller = try Controller(
            options: Controller.Options(
                store: try StateStore(directory: folder.path("state")),
                namespaceDirectory: folder.path("netns")), log: log)
    }

    @discardableResult
    func apply(_ topology: String) throws -> ApplyResult {
        try controller.applyTopology(
            TopologyDocument(name: "test.yaml", text: "heddle: 1\n" + topology))
    }

    /// Every device that a port could have: by place, with what Heddle sets on it. IPv6 link-local
    /// addresses are the kernel's own.
    func kernel() throws -> [String: String] {
        var picture: [String: String] = [:]
        func note(_ place: String) throws {
            let socket = try NetlinkSocket()
            for link in try socket.links() where link.name != "lo" {
                let addresses = try socket.addresses(of: link.index).map { "\($0)" }
                    .filter { !$0.hasPrefix("fe80") }.sorted()
                picture["\(place)/\(link.name)"] =
                    "\(link.address.map { "\($0)" } ?? "") mtu \(link.mtu) \(addresses) "
                    + "\(link.alternativeNames) \(link.flags.contains(.up) ? "up" : "down")"
            }
        }
        try note("")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: namespaces)) ?? []
        for name in names {
            picture[name] = "there"
            guard let found = try NetworkNamespace.open(named: name, in: namespaces) else {
                continue
            }
            picture[name] = "\(found.identity)"
            try found.run { try note(name) }
        }
        return picture
    }

    /// What the switch says of itself, without what counts.
    func model() throws -> [String] {
        try [controller.topology().text]
            + controller.ports().ports.map {
                "\($0.name) \($0.number) \($0.state) \($0.reason ?? "") \($0.device ?? "")"
            }
            + controller.fdb(network: nil, port: nil, mac: nil).entries
            .filter { $0.kind == .static }.map { "\($0.network) \($0.mac) \($0.port)" }
    }
}
