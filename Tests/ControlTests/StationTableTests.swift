import Dataplane
import Testing
import Wire

@testable import Control

@Suite("The table of stations")
struct StationTableTests {
    private func key(_ number: UInt64, domain: UInt16 = 1) -> FDBKey {
        FDBKey(domain: domain, address: 0x0200_0000_0000 | number)
    }

    private func mac(_ number: UInt64) -> MACAddress {
        MACAddress(rawValue: 0x0200_0000_0000 | number)
    }

    private func ip(_ text: String) -> IPAddress {
        IPAddress(text) ?? .v4(IPv4Address(rawValue: 0))
    }

    private let second: UInt64 = 1_000_000_000

    private func claim(
        _ number: UInt64, _ address: String, _ kind: StationClaim.Kind = .holds,
        _ source: StationClaim.Source = .arp
    ) -> StationClaim {
        StationClaim(kind, source, station: mac(number), address: ip(address))
    }

    @Test("remembers since when a station is at its port, and that it was there before")
    func moves() throws {
        var table = StationTable()
        table.heard(key(1), port: 3, time: 10)
        table.heard(key(1), port: 3, time: 20)
        var station = try #require(table.station(key(1)))
        #expect(station.portSince == 10 && station.last == 20)
        table.heard(key(1), port: 4, time: 30)
        station = try #require(table.station(key(1)))
        #expect(station.port == 4 && station.portSince == 30 && station.first == 10)
        #expect(table.count(port: 3) == 0 && table.count(port: 4) == 1)
    }

    @Test("one address in two networks is two stations")
    func domains() {
        var table = StationTable()
        table.heard(key(1, domain: 1), port: 0, time: 0)
        table.heard(key(1, domain: 2), port: 1, time: 0)
        #expect(table.count == 2)
        table.forget(domain: 1)
        #expect(table.station(key(1, domain: 1)) == nil)
        #expect(table.station(key(1, domain: 2))?.port == 1)
    }

    @Test("keeps the addresses that a station claims, newest last, and forgets released ones")
    func addresses() throws {
        var table = StationTable()
        table.heard(key(1), port: 0, time: 0)
        for (time, address) in ["10.0.0.1", "fe80::1", "10.0.0.1"].enumerated() {
            _ = table.take(
                claim(1, address), from: mac(1), domain: 1, port: 0, time: UInt64(time))
        }
        var station = try #require(table.station(key(1)))
        #expect(station.addresses.map(\.address) == [ip("fe80::1"), ip("10.0.0.1")])
        #expect(station.addresses.map(\.time) == [1, 2])
        _ = table.take(
            claim(1, "10.0.0.1", .releases, .dhcp), from: mac(1), domain: 1, port: 0, time: 3)
        station = try #require(table.station(key(1)))
        #expect(station.addresses.map(\.address) == [ip("fe80::1")])
        for number in 0..<100 {
            _ = table.take(
                claim(1, "10.0.1.\(number)"), from: mac(1), domain: 1, port: 0, time: 4)
        }
        #expect(table.station(key(1))?.addresses.count == StationTable.addressLimit)
    }

    @Test("two stations that claim one address within a minute conflict")
    func conflict() throws {
        var table = StationTable()
        table.heard(key(1), port: 0, time: 0)
        table.heard(key(2), port: 1, time: 0)
        #expect(
            table.take(claim(1, "10.0.0.9"), from: mac(1), domain: 1, port: 0, time: second) == nil)
        #expect(
            table.take(claim(1, "10.0.0.9"), from: mac(1), domain: 1, port: 0, time: second) == nil,
            "a station does not conflict with itself")
        #expect(
            table.take(
                claim(2, "10.0.0.9"), from: mac(2), domain: 2, port: 1, time: 2 * second) == nil,
            "another network is another world")
        let conflict = table.take(
            claim(2, "10.0.0.9"), from: mac(2), domain: 1, port: 1, time: 3 * second)
        let found = try #require(conflict)
        #expect(found.holder == mac(1) && found.holderPort == 0)
        #expect(found.claimant == mac(2) && found.claimantPort == 1)
        #expect(found.holderAge == 2 * second && !found.isRequest)
    }

    @Test("an address that changed hands long ago, or whose holder gave it back, is no conflict")
    func noConflict() {
        var table = StationTable()
        table.heard(key(1), port: 0, time: 0)
        table.heard(key(2), port: 1, time: 0)
        _ = table.take(claim(1, "10.0.0.9"), from: mac(1), domain: 1, port: 0, time: 0)
        #expect(
            table.take(
                claim(2, "10.0.0.9"), from: mac(2), domain: 1, port: 1, time: 61 * second) == nil)
        _ = table.take(
            claim(2, "10.0.0.9", .releases, .dhcp), from: mac(2), domain: 1, port: 1,
            time: 62 * second)
        #expect(
            table.take(
                claim(1, "10.0.0.9"), from: mac(1), domain: 1, port: 0, time: 63 * second) == nil)
        table.forget(port: 0)
        #expect(
            table.take(
                claim(2, "10.0.0.9"), from: mac(2), domain: 1, port: 1, time: 64 * second) == nil,
            "the holder's port is gone")
    }

    @Test("whoever asks for an address that another has is told of, and does not have it")
    func request() throws {
        var table = StationTable()
        table.heard(key(1), port: 0, time: 0)
        _ = table.take(claim(1, "10.0.0.9"), from: mac(1), domain: 1, port: 0, time: 0)
        let found = table.take(
            claim(2, "10.0.0.9", .asksFor), from: mac(2), domain: 1, port: 1, time: 1)
        #expect(found?.isRequest == true)
        #expect(table.station(key(2))?.addresses == [])
    }

    @Test("nobody speaks for a station behind another port, but a DHCP server does")
    func speakingForOthers() {
        var table = StationTable()
        table.heard(key(1), port: 0, time: 0)
        table.heard(key(2), port: 1, time: 0)
        _ = table.take(claim(1, "10.0.0.66"), from: mac(2), domain: 1, port: 1, time: 1)
        #expect(table.station(key(1))?.addresses == [])
        _ = table.take(claim(3, "10.0.0.66"), from: mac(2), domain: 1, port: 1, time: 1)
        #expect(table.station(key(3)) == nil, "nobody invents stations for others")
        _ = table.take(
            claim(1, "10.0.0.1", .holds, .dhcp), from: mac(2), domain: 1, port: 1, time: 1)
        #expect(table.station(key(1))?.addresses.map(\.address) == [ip("10.0.0.1")])
        #expect(table.station(key(1))?.port == 0)
    }

    @Test("whoever floods it with addresses loses his own, and nobody else does")
    func fairness() {
        var table = StationTable(capacity: 1000)
        for number in 0..<50 {
            table.heard(key(UInt64(number)), port: UInt16(number % 5), time: UInt64(number))
        }
        for number in 0..<100_000 {
            table.heard(key(1_000_000 + UInt64(number)), port: 9, time: 100 + UInt64(number))
        }
        #expect(table.count == 1000)
        for number in 0..<50 { #expect(table.station(key(UInt64(number))) != nil) }
        // A newcomer finds room, at the expense of the one with the most.
        table.heard(key(77), port: 7, time: 200_000)
        #expect(table.station(key(77)) != nil)
        #expect(table.count == 1000 && table.count(port: 9) == 949)
        // The flood keeps its newest.
        #expect(table.station(key(1_099_999)) != nil && table.station(key(1_000_000)) == nil)
    }

    @Test("agrees with a plain dictionary under random traffic", arguments: 0..<8)
    func model(seed: UInt64) {
        var random = SplitMix(state: seed)
        var table = StationTable(capacity: 10_000)
        var expected: [FDBKey: UInt16] = [:]
        for time in 0..<5_000 as Range<UInt64> {
            let key = key(random.next() % 300, domain: UInt16(1 + random.next() % 3))
            let port = UInt16(random.next() % 6)
            switch random.next() % 100 {
            case 0:
                table.forget(port: port)
                expected = expected.filter { $0.value != port }
            case 1:
                table.forget(domain: key.domain)
                expected = expected.filter { $0.key.domain != key.domain }
            default:
                table.heard(key, port: port, time: time)
                expected[key] = port
            }
        }
        #expect(table.count == expected.count)
        for (key, port) in expected { #expect(table.station(key)?.port == port) }
        for port in 0..<6 as Range<UInt16> {
            #expect(table.count(port: port) == expected.values.count { $0 == port })
        }
    }
}
