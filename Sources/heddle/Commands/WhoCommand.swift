import ArgumentParser
import ControlAPI

struct WhoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "who",
        abstract: "Say who has an address or a name: port, network, host, since when.",
        discussion: """
            What the topology declares, what hosts say of themselves (ARP, IPv6 neighbour \
            discovery, DHCP), and the forwarding database, put together.

              heddle who 10.10.0.1
              heddle who 02:00:00:00:00:01
              heddle who web-1          a port, a host by DHCP, a namespace, or a network
            """)

    @Argument(help: "An IP address, a MAC address, or a name.") var query: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.who(query)) { whoText($0) }
    }
}

/// One station in full; of several a table.
func whoText(_ result: WhoResult) -> String {
    if result.stations.count == 1 { return stationText(result.stations[0]) }
    var table = Table(
        .text("NETWORK"), .text("MAC"), .text("PORT"), .text("HOST"), .text("NAME"),
        .text("ADDRESSES"), .text("HEARD"))
    for station in result.stations {
        table.append(
            Table.Cell(station.network), Table.Cell(station.mac),
            Table.Cell(station.port ?? station.tunnel), Table.Cell(station.host),
            Table.Cell(station.hostName),
            Table.Cell(
                station.addresses.isEmpty
                    ? nil : station.addresses.map(\.address).joined(separator: " ")),
            Table.Cell(station.lastSeenSeconds.map { "\(age($0)) ago" }))
    }
    var text = table.rendered()
    for station in result.stations {
        for duplicate in station.duplicates { text += "duplicate: \(printable(duplicate))\n" }
    }
    return text
}

private func stationText(_ station: StationInfo) -> String {
    var fields: [(String, String?)] = [
        ("MAC", station.mac),
        ("port", station.port),
        ("network", station.network + (station.vlan == 0 ? "" : " (VLAN \(station.vlan))")),
        ("host", station.host),
        ("tunnel", station.tunnel),
        ("namespace", station.namespace),
        ("name", station.hostName.map { "\($0) (DHCP)" }),
        ("there since", station.portSinceSeconds.map { "\(age($0)) ago" } ?? "never heard"),
        ("last heard", station.lastSeenSeconds.map { "\(age($0)) ago" }),
    ]
    for address in station.addresses {
        let when = address.ageSeconds.map { ", \(age($0)) ago" } ?? ""
        fields.append(("address", "\(address.address) (\(addressSource(address.source))\(when))"))
    }
    fields.append(("FDB", station.fdb ?? "no entry"))
    for duplicate in station.duplicates { fields.append(("duplicate", duplicate)) }
    return described(fields)
}

private func addressSource(_ source: String) -> String {
    switch source {
    case "arp": "ARP"
    case "nd": "neighbour discovery"
    case "dhcp": "DHCP"
    case "dhcpv6": "DHCPv6"
    default: source
    }
}

/// A span of time in its two largest units.
func age(_ seconds: Double) -> String {
    // A bound keeps a foolish value printable.
    let seconds = Int(min(max(seconds, 0), 1e9))
    switch seconds {
    case ..<120: return "\(seconds) s"
    case ..<7200: return "\(seconds / 60) min"
    case ..<172_800: return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    default: return "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
    }
}
