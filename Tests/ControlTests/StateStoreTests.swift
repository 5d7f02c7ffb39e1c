import Foundation
import TestSupport
import Testing

@testable import Control

@Suite("The state of an instance on disk")
struct StateStoreTests {
    @Test("comes back as it was saved, and a new directory has a new instance")
    func roundTrip() throws {
        try TemporaryDirectory.with { folder in
            let store = try StateStore(directory: folder.path("state"))
            var state = try store.load()
            #expect(state.instance.count == 6 && state.devices.isEmpty)
            state.devices = [
                InstanceState.DeviceRecord(
                    port: "web-1", device: "web-1", mark: "heddle-x-web-1", namespace: nil,
                    namespaceIdentity: nil)
            ]
            state.portNumbers = ["web-1": 3]
            state.topology = "heddle: 1\n"
            try store.save(state)
            #expect(try StateStore(directory: folder.path("state")).load() == state)
        }
    }

    @Test(
        "is refused and left alone when it cannot be understood",
        arguments: [
            (#"{"version": 2, "instance": "abc", "future": true}"#, "version 2"),  // a newer heddle
            (#"{"version": 1}"#, "not the JSON"),  // a field is missing
            ("\u{0}\u{1}garbage", "not the JSON"),  // no JSON at all
            ("", "not the JSON"),  // cut short
        ])
    func refused(text: String, expected: String) throws {
        try TemporaryDirectory.with { folder in
            let store = try StateStore(directory: folder.path("state"))
            let path = folder.path("state") + "/state.json"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let failure = #expect(throws: StateStore.Failure.self) { try store.load() }
            #expect("\(try #require(failure))".contains(expected))
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    @Test("a directory that cannot be made is said with its remedy")
    func noDirectory() throws {
        try TemporaryDirectory.with { folder in
            let file = folder.path("file")
            try "x".write(toFile: file, atomically: true, encoding: .utf8)
            let failure = #expect(throws: StateStore.Failure.self) {
                try StateStore(directory: file + "/state")
            }
            #expect("\(try #require(failure))".contains("--state DIR"))
        }
    }
}
