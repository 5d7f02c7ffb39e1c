import Foundation
import TestSupport
import Testing

@testable import Topology

@Suite("A topology drawn for Graphviz")
struct GraphvizTests {
    @Test("has its hosts as clusters, its ports in them and a thick edge for each tunnel")
    func hosts() throws {
        let text = """
            heddle: 1
            hosts: {alpha: {underlay: 192.0.2.1}, beta: {underlay: 192.0.2.2}}
            overlay: {kind: geneve}
            networks: {blue: {vlan: 10, vni: 5}, green: {vlan: 20, mtu: 9000}}
            ports:
              a: {host: alpha, network: blue, isolated: true, tap: {address: [10.0.0.1/24]}}
              t: {host: alpha, trunk: [blue, green], native: blue, device: {name: eth1}}
              b: {host: beta, network: blue, up: false, vhost-user: {socket: /run/b}}
            """
        let topology = try Topology.decode(text, file: "t.yaml")
        #expect(
            topology.dot == #"""
                graph heddle {
                    graph [rankdir=LR, fontname="sans-serif"];
                    node [shape=box, fontname="sans-serif"];
                    edge [fontname="sans-serif"];
                    n0 [shape=ellipse, label="blue\nvlan 10\nvni 5"];
                    n1 [shape=ellipse, label="green\nvlan 20\nmtu 9000"];
                    subgraph cluster_h0 {
                        label="alpha";
                        u0 [shape=hexagon, label="192.0.2.1"];
                        p0 [label="a\ntap\n10.0.0.1/24\nisolated"];
                        p1 [label="t\ndevice eth1"];
                    }
                    subgraph cluster_h1 {
                        label="beta";
                        u1 [shape=hexagon, label="192.0.2.2"];
                        p2 [style=dotted, label="b\nvhost-user at /run/b\ndown"];
                    }
                    p0 -- n0 [style=dashed];
                    p1 -- n0 [label="native"];
                    p1 -- n1 [label="tag 20"];
                    p2 -- n0;
                    u0 -- u1 [penwidth=3, label="geneve\nblue"];
                }

                """#)
    }

    /// What a file may call its captures; names of other things are letters and digits.
    private static let hostile: [String] = [
        #"x"];evil [label="y.pcap"#,  // would end the string and add a node
        #"back\slash\"#,  // the last one would swallow the quote
        #"\N \G \l \n"#,  // Graphviz' own escapes
        "&amp; &#34; <b>",  // entities and markup
        "naïve 表.pcap",  // UTF-8
        "a\u{1}b",  // no picture
    ]

    private func topology(reading path: String) -> Topology {
        Topology(
            networks: [NetworkSpec(name: "n")],
            ports: [
                PortSpec(
                    name: "graph", membership: .access(network: "n"),
                    attachment: .pcap(PcapSpec(read: path)))
            ])
    }

    @Test(
        "cannot be misread: Graphviz finds one port with the name that it has",
        .enabled(if: ExternalTool.isAvailable("dot", package: "graphviz")), arguments: hostile)
    func hostileNames(_ path: String) throws {
        let text = topology(reading: path).dot
        let run = try ExternalTool("dot").run(
            ["-Tsvg"], standardInput: Array(text.utf8))
        #expect(run.status == 0 && run.standardError.isEmpty, "\(run.standardError)\n\(text)")
        #expect(run.text.components(separatedBy: "class=\"node\"").count - 1 == 2)
        #expect(run.text.components(separatedBy: "class=\"edge\"").count - 1 == 1)
        let shown = path.replacing("\u{1}", with: "\u{FFFD}")
        #expect(run.text.xmlDecoded.contains("pcap reads \(shown)<"), "\(run.text)")
    }

    @Test(
        "is drawn by Graphviz without a word, for every example",
        .enabled(if: ExternalTool.isAvailable("dot", package: "graphviz")))
    func examples() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "topologies")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".yaml") }
        #expect(!files.isEmpty)
        for file in files {
            let topology = try Topology.decode(
                String(contentsOf: folder.appending(path: file), encoding: .utf8), file: file)
            let run = try ExternalTool("dot").run(
                ["-Tsvg"], standardInput: Array(topology.dot.utf8))
            #expect(run.status == 0 && run.standardError.isEmpty, "\(file): \(run.standardError)")
            let clusters = run.text.components(separatedBy: "class=\"cluster\"").count - 1
            #expect(clusters == topology.hosts.count, "\(file)")
            let nodes = run.text.components(separatedBy: "class=\"node\"").count - 1
            #expect(
                nodes == topology.hosts.count + topology.networks.count + topology.ports.count,
                "\(file)")
        }
    }
}

extension String {
    /// Text of an SVG as it is shown.
    fileprivate var xmlDecoded: String {
        var result = self
        for (entity, text) in [
            ("&quot;", "\""), ("&#45;", "-"), ("&#160;", " "), ("&lt;", "<"), ("&gt;", ">"),
            ("&#39;", "'"), ("&amp;", "&"),
        ] {
            result = result.replacing(entity, with: text)
        }
        return result
    }
}
