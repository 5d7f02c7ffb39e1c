import Dataplane
import Wire

/// Who is where: what is remembered of every station, which is a MAC address in a network.
///
/// Theory of operation
///
/// A station is entered when the FDB learns its address, and stays after the FDB has forgotten it:
/// where a silent host was is what people ask. What it says of itself (``StationClaim``) adds IP
/// addresses, of which the last claimant is noted, so that a second claim by another station within
/// ``conflictWindow`` is a conflict.
///
/// Limits and fairness. There is room for ``capacity`` stations. A new one at a full table takes the
/// place of the one of its own port that was silent longest, if its port has more than its share
/// (capacity / ports), else of such a one of the port with the most: whoever invents addresses loses
/// his own. A station keeps the last ``addressLimit`` addresses.
///
/// Believed are ports, since the switch saw them, and nothing else: claims are anybody's.
///
/// Not here: declared addresses, and whether the FDB still knows the station.
///
/// A value, for one thread. All but queries are constant time, but for an eviction by a port below its
/// share, which looks at every port; queries walk all.
struct StationTable {
    struct Address: Equatable {
        var address: IPAddress
        var source: StationClaim.Source
        /// When it was claimed last.
        var time: UInt64
    }

    struct Station {
        var key: FDBKey
        /// A port, or a tunnel.
        var port: UInt16
        /// Monotonic nanoseconds, as all times here.
        var portSince: UInt64
        var first: UInt64
        /// When it was last learned, moved or claimed something.
        var last: UInt64
        var addresses: [Address] = []
        var hostName: String?
        /// Neighbours among the port's stations, by ``last``.
        fileprivate var previous = -1
        fileprivate var next = -1
    }

    /// One address at two stations.
    struct Conflict: Equatable {
        var domain: UInt16
        var address: IPAddress
        var holder: MACAddress
        var holderPort: UInt16
        /// Nanoseconds since the holder said so.
        var holderAge: UInt64
        var claimant: MACAddress
        var claimantPort: UInt16
        /// Whether the claimant only asks for the address.
        var isRequest: Bool
    }

    private struct AddressKey: Hashable {
        var domain: UInt16
        var address: IPAddress
    }

    private struct Claimant {
        var station: UInt64
        var time: UInt64
    }

    private struct PortList {
        var head = -1
        var tail = -1
        var count = 0
    }

    static let addressLimit = 8
    static let conflictWindow: UInt64 = 60_000_000_000

    let capacity: Int
    private var slots: [Station] = []
    private var free: [Int] = []
    private var places: [UInt64: Int] = [:]
    private var lists: [UInt16: PortList] = [:]
    private var claimants: [AddressKey: Claimant] = [:]

    init(capacity: Int = 65_536) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    var count: Int { places.count }

    func count(port: UInt16) -> Int { lists[port]?.count ?? 0 }

    // MARK: What the FDB tells

    /// A station is behind that port.
    mutating func heard(_ key: FDBKey, port: UInt16, time: UInt64) {
        if let place = places[key.word] {
            unlink(place)
            if slots[place].port != port {
                slots[place].port = port
                slots[place].portSince = time
            }
            slots[place].last = time
            append(place)
            return
        }
        if places.count >= capacity { evict(for: port) }
        let station = Station(key: key, port: port, portSince: time, first: time, last: time)
        let place: Int
        if let last = free.popLast() {
            place = last
            slots[place] = station
        } else {
            place = slots.count
            slots.append(station)
        }
        places[key.word] = place
        append(place)
    }

    // MARK: What stations say

    /// Takes up a claim that a frame from `sender` made at a port; what it conflicts with.
    mutating func take(
        _ claim: StationClaim, from sender: MACAddress, domain: UInt16, port: UInt16,
        time: UInt64
    ) -> Conflict? {
        let key = FDBKey(domain: domain, address: claim.station)
        if claim.station != sender {
            // Said of another: by a DHCP server of its client, by a host of what is behind it.
            guard let place = places[key.word],
                slots[place].port == port || claim.source == .dhcp
            else { return nil }
        } else if places[key.word] == nil {
            heard(key, port: port, time: time)
        }
        guard let place = places[key.word] else { return nil }
        if let name = claim.hostName { slots[place].hostName = name }
        if claim.station == sender {
            slots[place].last = time
            unlink(place)
            append(place)
        }
        guard let address = claim.address else { return nil }
        let addressKey = AddressKey(domain: domain, address: address)
        if claim.kind == .releases {
            forget(address, at: place)
            return nil
        }
        let conflict = conflict(of: claim, with: claimants[addressKey], addressKey, place, time)
        guard claim.kind == .holds else { return conflict }
        slots[place].addresses.removeAll { $0.address == address }
        if slots[place].addresses.count >= StationTable.addressLimit {
            forget(slots[place].addresses[0].address, at: place)
        }
        slots[place].addresses.append(
            Address(address: address, source: claim.source, time: time))
        claimants[addressKey] = Claimant(station: key.word, time: time)
        return conflict
    }

    private func conflict(
        of claim: StationClaim, with claimant: Claimant?, _ key: AddressKey, _ place: Int,
        _ time: UInt64
    ) -> Conflict? {
        guard let claimant, claimant.station != slots[place].key.word,
            let holder = places[claimant.station],
            time &- claimant.time <= StationTable.conflictWindow
        else { return nil }
        return Conflict(
            domain: key.domain, address: key.address, holder: slots[holder].key.address,
            holderPort: slots[holder].port, holderAge: time &- claimant.time,
            claimant: claim.station, claimantPort: slots[place].port,
            isRequest: claim.kind == .asksFor)
    }

    private mutating func forget(_ address: IPAddress, at place: Int) {
        slots[place].addresses.removeAll { $0.address == address }
        let key = AddressKey(domain: slots[place].key.domain, address: address)
        if claimants[key]?.station == slots[place].key.word { claimants[key] = nil }
    }

    // MARK: What goes

    /// A port or a tunnel is gone, with all behind it.
    mutating func forget(port: UInt16) {
        while let list = lists[port], list.head >= 0 { remove(list.head) }
    }

    /// A network is gone.
    mutating func forget(domain: UInt16) {
        for (word, place) in places where FDBKey(word: word).domain == domain { remove(place) }
    }

    private mutating func evict(for port: UInt16) {
        let share = capacity / max(lists.count, 1)
        var victim = port
        if count(port: port) <= share {
            for (number, list) in lists where list.count > count(port: victim) { victim = number }
        }
        if let list = lists[victim], list.head >= 0 { remove(list.head) }
    }

    private mutating func remove(_ place: Int) {
        for address in slots[place].addresses { forget(address.address, at: place) }
        unlink(place)
        places[slots[place].key.word] = nil
        free.append(place)
    }

    // MARK: Lists of ports

    private mutating func append(_ place: Int) {
        var list = lists[slots[place].port] ?? PortList()
        slots[place].previous = list.tail
        slots[place].next = -1
        if list.tail >= 0 { slots[list.tail].next = place } else { list.head = place }
        list.tail = place
        list.count += 1
        lists[slots[place].port] = list
    }

    private mutating func unlink(_ place: Int) {
        let station = slots[place]
        guard var list = lists[station.port] else { return }
        if station.previous >= 0 {
            slots[station.previous].next = station.next
        } else {
            list.head = station.next
        }
        if station.next >= 0 {
            slots[station.next].previous = station.previous
        } else {
            list.tail = station.previous
        }
        list.count -= 1
        lists[station.port] = list.count == 0 ? nil : list
    }

    // MARK: Queries

    func station(_ key: FDBKey) -> Station? { places[key.word].map { slots[$0] } }

    /// In order of network and address.
    func stations(where matches: (Station) -> Bool) -> [Station] {
        places.values.map { slots[$0] }.filter(matches).sorted { $0.key.word < $1.key.word }
    }
}
