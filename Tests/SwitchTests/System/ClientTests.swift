import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Clients of a running switch")
    struct Clients {
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
              c: {network: blue, tap: {namespace: c, address: [10.1.0.3/24]}}
            """

        @Test("a port attached by hand works, is left alone by plans, and goes when detached")
        func attachAndDetach() throws {
            try withTopology(Self.topology) { lab in
                let attach = try lab.heddle(
                    "port", "attach", "guest", "--network", "blue", "--namespace", "guest",
                    "--address", "10.1.0.9/24")
                #expect(attach.status == 0, "\(attach.standardError)")
                #expect(try lab.ping(from: "a", "10.1.0.9"))
                #expect(try lab.port("guest").origin == .attached)
                let file = lab.directory + "/topology.yaml"
                #expect(try lab.heddle("topology", "plan", file).status == 0)
                try lab.apply(file)
                #expect(try lab.ping(from: "a", "10.1.0.9"))

                // Into a namespace that is there, which stays.
                let here = try lab.heddle(
                    "port", "attach", "second", "--network", "green", "--namespace", "c",
                    "--device", "eth9")
                #expect(here.status == 0, "\(here.standardError)")
                #expect(try Set(lab.devices(in: "c")) == ["c", "eth9"])

                for (arguments, complaint) in [
                    (["attach", "a", "--network", "blue"], "port 'a' exists"),
                    (["attach", "z", "--network", "bleu"], "did you mean 'blue'"),
                    (["attach", "z", "--network", "blue", "--mac", "1"], "mac"),
                    (["detach", "a"], "declared by the topology"),
                    (["detach", "nobody"], "there is no port 'nobody'"),
                ] {
                    let refused = try lab.run([Lab.heddlePath, "port"] + arguments)
                    #expect(refused.status == 1, "\(arguments)")
                    #expect(refused.standardError.contains(complaint), "\(refused.standardError)")
                }

                #expect(try lab.heddle("port", "detach", "guest").status == 0)
                #expect(try lab.heddle("port", "detach", "second").status == 0)
                #expect(try lab.namespaces() == ["a", "b", "c"])
                #expect(try lab.devices(in: "c") == ["c"])
                #expect(try !lab.ping(from: "a", "10.1.0.9"))
            }
        }

        @Test("static entries steer frames; flushing and deleting forget what they should")
        func forwardingDatabase() throws {
            func entries(_ lab: Lab, _ filter: String...) throws -> [FDBEntryInfo] {
                let output = try lab.run(
                    [Lab.heddlePath, "fdb", "list", "--output", "json"] + filter)
                return try FDBList(json: output.standardOutput).entries
            }
            try withTopology(Self.topology) { lab in
                // What hosts send unasked for would be learned again at once.
                for name in ["a", "b", "c"] {
                    try lab.sh("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6", in: name)
                }
                let mac = try #require(try lab.port("b").mac)
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                #expect(try entries(lab, "--mac", mac).map(\.port) == ["b"])

                // b's address is said to live behind c: b gets nothing for it.
                #expect(try lab.heddle("fdb", "add", "blue", mac, "c").status == 0)
                #expect(try entries(lab, "--mac", mac).map(\.kind) == [.static])
                #expect(try !lab.ping(from: "a", "10.1.0.2"))
                #expect(try lab.heddle("fdb", "flush", "--all").status == 0)
                #expect(try entries(lab, "--mac", mac).map(\.port) == ["c"], "static ones stay")
                #expect(try lab.heddle("fdb", "delete", "blue", mac).status == 0)
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let nobody = "02:00:00:00:99:99"
                #expect(try lab.heddle("fdb", "add", "blue", nobody, "c").status == 0)
                #expect(try lab.heddle("fdb", "delete", "blue", nobody).status == 0)
                #expect(try lab.heddle("fdb", "delete", "blue", nobody).status == 1)

                #expect(try lab.ping(from: "a", "10.1.0.3"))
                #expect(try entries(lab, "--port", "a").count == 1)
                let flushed = try lab.json("fdb", "flush", "--port", "a", as: FDBFlushResult.self)
                #expect(flushed.removed == 1)
                #expect(try entries(lab, "--port", "a").isEmpty)
                #expect(try entries(lab, "--port", "c").count == 1)
                let other = try lab.json(
                    "fdb", "flush", "--network", "green", as: FDBFlushResult.self)
                #expect(other.removed == 0)
                #expect(try entries(lab, "--network", "blue").count >= 2)
                #expect(try lab.heddle("fdb", "flush", "--network", "blue").status == 0)
                #expect(try entries(lab).isEmpty)
                #expect(try lab.ping(from: "a", "10.1.0.2"), "they are learned again")
            }
        }

        @Test(
            "the API answers curl: version, OpenAPI, metrics, errors",
            .enabled(if: ExternalTool.isAvailable("curl")))
        func http() throws {
            try withTopology(Self.topology) { lab in
                func curl(_ path: String, _ options: String = "") throws -> (String, status: Int) {
                    let text = try lab.sh(
                        "curl -sS --max-time 10 --unix-socket /run/heddle/heddle.sock "
                            + "-w '\\n%{http_code}' \(options) http://localhost\(path)")
                    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
                    return (lines.dropLast().joined(separator: "\n"), Int(lines.last ?? "") ?? 0)
                }
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let version = try curl("/v1/version")
                #expect(version.status == 200)
                #expect(try VersionInfo(json: Array(version.0.utf8)).apiVersion == "v1")

                let document = try JSONSerialization.jsonObject(
                    with: Data(try curl("/v1/openapi.json").0.utf8))
                let openAPI = try #require(document as? [String: Any])
                #expect((openAPI["openapi"] as? String)?.hasPrefix("3.") == true)
                let paths = try #require(openAPI["paths"] as? [String: Any])
                // Every path that can be read without more is there as described.
                for path in paths.keys where !path.contains("{") {
                    let get = (paths[path] as? [String: Any])?["get"] as? [String: Any]
                    let parameters = get?["parameters"] as? [[String: Any]] ?? []
                    let needsMore = parameters.contains { $0["required"] as? Bool == true }
                    if get != nil, !needsMore { #expect(try curl(path).status == 200, "\(path)") }
                }

                let metrics = try curl("/metrics").0
                #expect(metrics.contains("# TYPE heddle_"))
                #expect(metrics.contains(#"port="a""#))
                for line in metrics.split(separator: "\n") where !line.hasPrefix("#") {
                    #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
                }
                #expect(try curl("/v1/nothing").status == 404)
                #expect(try curl("/v1/ports/nobody").status == 404)
                #expect(try curl("/v1/version", "-X DELETE").status == 405)
                #expect(try curl("/v1/topology/plan", "-d 'junk'").status == 400)
            }
        }

        @Test("exec enters the namespaces of a sandbox, which leaves nothing outside of it")
        func sandbox() throws {
            try Lab.with { lab in
                let environment = ["env", "XDG_RUNTIME_DIR=/run/user"]
                try lab.sh("mkdir -m 700 /run/user")
                let process = try lab.start(
                    environment + [Lab.heddlePath, "run", "--sandbox", example("quickstart")],
                    isSwitch: true)
                try process.wait("the switch is ready", seconds: 20) {
                    $0.output.contains(" is ready: ")
                }
                #expect(process.output.contains("/run/user/heddle/heddle.sock"))
                #expect(try lab.devices() == [] && lab.namespaces() == [], "all is inside")
                func exec(_ arguments: String...) throws -> ExternalTool.Output {
                    try lab.run(environment + [Lab.heddlePath, "exec"] + arguments)
                }
                let good = try exec("web-1", "--", "ping", "-c", "1", "-W", "2", "10.10.0.2")
                #expect(good.status == 0, "\(good.standardError)")
                let bad = try exec("web-1", "--", "ping", "-c", "1", "-W", "1", "10.10.0.3")
                #expect(bad.status == 1)
                let status = try exec("db-1", "--", "sh", "-c", "ip -o -4 address show; exit 7")
                #expect(status.status == 7)
                #expect(status.text.contains("10.10.0.3/24"))
                let unknown = try exec("nowhere", "--", "true")
                #expect(unknown.status == 1)
                #expect(unknown.standardError.contains("there is no namespace 'nowhere'"))
                try process.finish()
                #expect(try lab.leftovers() == [])
                #expect(try lab.sh("ls -A /run/user") == "")
            }
        }

        @Test("exec works without a sandbox as well")
        func exec() throws {
            try withTopology(Self.topology) { lab in
                let ping = try lab.heddle(
                    "exec", "a", "--", "ping", "-c", "1", "-W", "2", "10.1.0.2")
                #expect(ping.status == 0, "\(ping.standardError)")
            }
        }

        @Test("two workers carry a topology as one does, in order")
        func twoWorkers() throws {
            try Lab.with { lab in
                let process = try lab.startSwitch(
                    try lab.file("t.yaml", Self.topology), ["--workers", "2"])
                #expect(try lab.json("stats", as: StatsInfo.self).workers.count == 2)
                let streams = try ["a", "c"].enumerated().map { place, name in
                    try lab.stream(from: name, to: Host("b", "10.1.0.2"), port: 9000 + place)
                }
                usleep(1_000_000)
                for stream in streams {
                    let account = try stream.finish()
                    #expect(account.isPerfect, "\(account)")
                }
                try process.finish()
                #expect(try lab.leftovers() == [])
            }
        }

        @Test("an idle switch uses no processor time")
        func idle() throws {
            try withTopology(Self.topology) { lab in
                // The kernels' neighbour discovery on new devices is over after a few seconds.
                usleep(2_500_000)
                let pid = try lab.json("version", as: VersionInfo.self).pid
                func ticks() throws -> Int {
                    // proc(5): user and system time are fields 14 and 15, in 10 ms.
                    let fields = try lab.sh("cat /proc/\(pid)/stat").split(separator: " ")
                    return (Int(fields[13]) ?? 0) + (Int(fields[14]) ?? 0)
                }
                let before = try ticks()
                usleep(3_000_000)
                let used = try ticks() - before
                #expect(used <= 3, "\(used * 10) ms of 3 s")
            }
        }
    }
}
