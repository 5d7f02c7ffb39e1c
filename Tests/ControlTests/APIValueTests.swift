import ControlAPI
import Foundation
import Testing

@Suite("Values of the control interface")
struct APIValueTests {
    /// Every object of the interface with every field set, and its JSON as published.
    static let golden: [(any APIValue, String)] = [
        (
            Sample.version,
            #"{"api_version":"v1","instance":"lab","pid":42,"sandbox":true,"uptime_seconds":1.5,"version":"0.1.0"}"#
        ),
        (
            TopologyDocument(name: "lab.yaml", text: "heddle: 1\n"),
            #"{"name":"lab.yaml","text":"heddle: 1\n"}"#
        ),
        (
            Sample.topology,
            #"{"name":"lab.yaml","text":"heddle: 1\n","topology":{"heddle":1}}"#
        ),
        (
            Sample.apply,
            #"{"generation":7,"plan":{"changes":[{"subject":"port web-1","symbol":"+","text":"tap in namespace web-1"}],"is_empty":false,"summary":"1 to add, 0 to change, 0 to remove"},"summary":"1 added"}"#
        ),
        (
            Sample.counters,
            #"{"consumed_frames":1,"egress_copies":9,"egress_dropped_frames":1,"flooded_frames":2,"forwarded_frames":6,"ingress_dropped_frames":1,"queued_frames":1,"received_bytes":1000,"received_frames":10,"received_segments":12,"transmitted_bytes":700,"transmitted_frames":7,"transmitted_segments":8}"#
        ),
        (
            Sample.port,
            #"{"addresses":["10.10.0.1/24"],"counters":COUNTERS,"device":"hd-web-1","isolated":true,"kind":"tap","mac":"02:00:00:00:00:01","mode":"trunk","mtu":1500,"name":"web-1","namespace":"web-1","native":"blue","network":"blue","number":1,"offloads":["csum","tso4"],"origin":"declared","peer":"pid 7","reason":"its device is gone","socket":"/run/web-1.sock","state":"down","template":"vms","trunk":["blue","green"]}"#
        ),
        (
            PortAttachRequest(name: "vm-1", definition: ["network": "blue"]),
            #"{"definition":{"network":"blue"},"name":"vm-1"}"#
        ),
        (
            Sample.network,
            #"{"counters":COUNTERS,"fdb_entries":1,"mtu":1500,"name":"blue","ports":["web-1"],"vlan":10}"#
        ),
        (
            TunnelList(tunnels: [Sample.tunnel]),
            #"{"tunnels":[{"counters":COUNTERS,"device":"eth0","gateway":"192.0.2.254","host":"beta","kind":"vxlan","last_heard_seconds":0.5,"local":"192.0.2.1","maximum_packet":1450,"name":"vxlan:beta","neighbour":"failed","networks":["blue"],"number":2,"port":4789,"probe":"unprobed","reason":"no route","remote":"192.0.2.2","state":"down","underlay_mtu":1500}]}"#
        ),
        (
            FDBList(entries: [Sample.fdbEntry]),
            #"{"entries":[{"age_seconds":2.5,"kind":"dynamic","mac":"02:00:00:00:00:01","network":"blue","port":"vxlan:beta","vlan":10,"vtep":"192.0.2.2"}]}"#
        ),
        (
            FDBChangeRequest(
                network: "blue", mac: "02:00:00:00:00:01", port: "web-1", vtep: "beta",
                kind: .static),
            #"{"kind":"static","mac":"02:00:00:00:00:01","network":"blue","port":"web-1","vtep":"beta"}"#
        ),
        (
            FDBFlushRequest(network: "blue", port: "web-1", mac: "02:00:00:00:00:01"),
            #"{"mac":"02:00:00:00:00:01","network":"blue","port":"web-1"}"#
        ),
        (FDBFlushResult(removed: 7), #"{"removed":7}"#),
        (
            TraceRequest(port: "vxlan:beta", frame: "ffff", network: "blue"),
            #"{"frame":"ffff","network":"blue","port":"vxlan:beta"}"#
        ),
        (
            Sample.trace,
            #"{"action":"dropped","egress":["web-2"],"network":"blue","number":7,"port":"web-1","reason":"tag-on-access","remedy":"make it a trunk","sentence":"a tagged frame","steps":[{"step":"verdict","text":"dropped"}],"verdict":"dropped: tag-on-access: a tagged frame"}"#
        ),
        (
            DropList(drops: [Sample.drop]),
            #"{"drops":[{"count":3,"network":"blue","port":"web-1","reason":"vlan-not-allowed","remedy":"add it to the port's trunk","sentence":"the tag names no network of this port"}]}"#
        ),
        (
            Sample.stats,
            #"{"captures":{"lost_frames":2,"running":1},"fdb":{"aged":5,"capacity":2,"entries":1,"evicted":6,"learned":3,"moved":4,"refused":7},"generation":7,"ports":[{"counters":COUNTERS,"name":"web-1","state":"up"}],"process":{"cpu_seconds":1.5,"descriptor_limit":1024,"open_descriptors":5,"resident_bytes":4096,"start_time_seconds":100,"threads":3,"virtual_bytes":8192},"totals":COUNTERS,"uptime_seconds":1.5,"workers":[{"bursts":1,"cpu_seconds":0.5,"frames":2,"generation":7,"number":0,"sleeps":3}]}"#
        ),
        (
            EventList(events: [Sample.event], last: 9),
            #"{"events":[{"count":2,"first_time":"2026-01-02T03:04:04.000Z","kind":"loop","network":"blue","number":9,"other_port":"web-2","port":"web-1","remedy":"cut it","sentence":"a loop","severity":"error","time":"2026-01-02T03:04:05.678Z","tunnel":"vxlan:beta"}],"last":9}"#
        ),
        (
            WhoResult(query: "10.10.0.1", matched: "IP address", stations: [Sample.station]),
            #"{"matched":"IP address","query":"10.10.0.1","stations":[{"addresses":[{"address":"10.10.0.1","age_seconds":12,"source":"arp"}],"duplicates":["02:00:00:00:00:02 at port web-2"],"fdb":"dynamic, heard 0 s ago","host":"beta","host_name":"web","last_seen_seconds":0.5,"mac":"02:00:00:00:00:01","namespace":"web-1","network":"blue","port":"web-1","port_since_seconds":60,"tunnel":"vxlan:beta","vlan":10}]}"#
        ),
        (Acknowledgement(message: "done"), #"{"message":"done"}"#),
        (ErrorResponse(error: "no", details: ["x"]), #"{"details":["x"],"error":"no"}"#),
        (
            DoctorReport(checks: [
                DoctorCheck(name: "TAP", status: .missing, finding: "none", remedy: "load it")
            ]),
            #"{"checks":[{"finding":"none","name":"TAP","remedy":"load it","status":"missing"}]}"#
        ),
    ]

    @Test("are written as published, key for key")
    func golden() throws {
        let counters = String(decoding: try Sample.counters.json(), as: UTF8.self)
        for (value, text) in Self.golden {
            #expect(
                String(decoding: try value.json(), as: UTF8.self)
                    == text.replacing("COUNTERS", with: counters))
        }
    }

    @Test("have exactly the fields that their schema lists")
    func schemas() throws {
        for (value, _) in Self.golden {
            let object = try JSONSerialization.jsonObject(with: Data(try value.json()))
            let keys = try #require(object as? [String: Any]).keys.sorted()
            let schema = type(of: value).schema
            #expect(keys == schema.fields.map(\.name).sorted(), "\(schema.name)")
        }
    }

    @Test("survive a round trip, absent fields included")
    func roundTrip() throws {
        func check<Value: APIValue>(_ value: Value) throws {
            #expect(try Value(json: value.json()) == value)
        }
        for (value, _) in Self.golden { try check(value) }
        try check(FDBFlushRequest(network: nil, port: nil, mac: nil))
        #expect(try FDBFlushRequest(network: nil, port: nil, mac: nil).json() == Array("{}".utf8))
    }

    @Test("of an older switch, without the fields that were added, are read")
    func older() throws {
        let counters = String(decoding: try Sample.counters.json(), as: UTF8.self)
        let text = """
            {"fdb":{"aged":5,"capacity":2,"entries":1,"evicted":6,"learned":3,"moved":4,"refused":7},\
            "generation":7,"ports":[],"totals":\(counters),"uptime_seconds":1.5,\
            "workers":[{"bursts":1,"frames":2,"generation":7,"number":0,"sleeps":3}]}
            """
        let stats = try StatsInfo(json: Array(text.utf8))
        #expect(stats.captures == nil && stats.process == nil)
        #expect(stats.workers.map(\.cpuSeconds) == [nil])
    }

    @Test("of the data socket are written as published")
    func dataRequests() throws {
        let capture = CaptureRequest(
            ports: ["web-1"], direction: .both, filter: "icmp", snaplen: 256, count: 3)
        let rows: [(DataRequest, String)] = [
            (.namespace(name: "web-1"), #"{"name":"web-1","request":"namespace"}"#),
            (
                .capture(capture),
                #"{"count":3,"direction":"both","drops":false,"filter":"icmp","networks":[],"outer":false,"ports":["web-1"],"reasons":[],"request":"capture","snaplen":256,"view":"seen"}"#
            ),
            (.stop, #"{"request":"stop"}"#),
        ]
        for (request, text) in rows {
            #expect(String(decoding: try request.json(), as: UTF8.self) == text)
            #expect(try DataRequest(json: Array(text.utf8)) == request)
        }
        // As clients wrote it that knew less.
        let older =
            #"{"count":3,"direction":"both","filter":"icmp","ports":["web-1"],"request":"capture","snaplen":256}"#
        #expect(try DataRequest(json: Array(older.utf8)) == .capture(capture))
        #expect(try DataReply(json: Array(#"{"ok":true}"#.utf8)) == DataReply(ok: true))
    }
}
