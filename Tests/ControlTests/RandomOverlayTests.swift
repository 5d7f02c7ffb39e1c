import TestSupport
import Testing
import Topology
import Wire

@testable import Control

/// The issue's promise as a property: from a file to frames, on every host at once.
@Suite("Over random topologies of several hosts")
struct RandomOverlayTests {
    /// A port in a network, as its neighbours on the wire see it.
    private struct Member {
        var port: PortSpec
        var network: NetworkSpec
        /// VLAN ID of frames in and out; nil for untagged.
        var vid: UInt16?
        var mac: UInt64
    }

    private static let broadcast: UInt64 = 0xFFFF_FFFF_FFFF

    @Test(
        "a frame reaches every member of its network once, and nobody else",
        arguments: 0..<60 as Range<UInt64>)
    func isolationAndCompleteness(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let written = Self.topology(using: &random)
        // What is not valid as a file is not worth testing.
        let topology = try Topology.decode(written.yaml, file: "random.yaml")
        #expect(topology == written)
        let world = try OverlayWorld(topology, using: &random)
        let members = Self.members(of: topology)

        // Everybody is heard by all that share the network.
        for member in members {
            let frame = Self.frame(to: Self.broadcast, from: member.mac)
            let arrived = world.send(Self.tagged(frame, member.vid), into: member.port.name)
            let expected = Self.others(than: member, in: members, topology).map {
                OverlayWorld.Delivery(port: $0.port.name, vid: $0.vid, frame: frame)
            }
            Self.expectSame(arrived, expected, "broadcast of \(member.port.name)", written)
        }
        // From then on one port each, wherever it is; a stranger's address goes to all again.
        for _ in 0..<120 {
            guard let sender = members.randomElement(using: &random),
                let target = members.randomElement(using: &random)
            else { continue }
            let isStranger = Int.random(in: 0..<4, using: &random) == 0
            let frame = Self.frame(
                to: isStranger ? 0x0200_0000_FFFF : target.mac, from: sender.mac,
                byteCount: Int.random(in: 46...1500, using: &random))
            let others = Self.others(than: sender, in: members, topology)
            let reached: [Member]
            if !isStranger, target.mac == sender.mac {
                reached = []
            } else if !isStranger, target.port.up, others.contains(where: { $0.mac == target.mac })
            {
                reached = [target]
            } else {
                reached = others
            }
            let arrived = world.send(Self.tagged(frame, sender.vid), into: sender.port.name)
            let expected = reached.map {
                OverlayWorld.Delivery(port: $0.port.name, vid: $0.vid, frame: frame)
            }
            Self.expectSame(
                arrived, expected, "\(sender.port.name) to \(target.port.name)", written)
        }
        #expect(world.hosts.flatMap(\.unbalanced) == [])
    }

    private static func expectSame(
        _ arrived: [OverlayWorld.Delivery], _ expected: [OverlayWorld.Delivery], _ what: String,
        _ topology: Topology
    ) {
        func sorted(_ deliveries: [OverlayWorld.Delivery]) -> [String] {
            deliveries.map { "\($0.port) \($0.vid.map { "\($0)" } ?? "untagged")" }.sorted()
        }
        #expect(sorted(arrived) == sorted(expected), "\(what)\n\(topology.yaml)")
        if let frame = expected.first?.frame {
            #expect(arrived.allSatisfy { $0.frame == frame }, "\(what): the bytes")
        }
    }

    // MARK: What the file promises

    private static func members(of topology: Topology) -> [Member] {
        var result: [Member] = []
        for port in topology.ports {
            for name in port.membership.networks {
                guard let network = topology.network(named: name) else { continue }
                let vlan =
                    port.host.flatMap { topology.host(named: $0)?.vlans[name] } ?? network.vlan
                var vid: UInt16?
                if case .trunk(_, let native) = port.membership, native != name {
                    vid = vlan?.rawValue
                }
                result.append(
                    Member(
                        port: port, network: network, vid: vid,
                        mac: 0x0200_0000_0100 + UInt64(result.count)))
            }
        }
        return result
    }

    /// Whom a frame of `member` for all reaches.
    private static func others(
        than member: Member, in members: [Member], _ topology: Topology
    ) -> [Member] {
        guard member.port.up else { return [] }
        return members.filter {
            $0.network.name == member.network.name && $0.port.name != member.port.name
                && $0.port.up
                && ($0.port.host == member.port.host || member.network.vni != nil)
        }
    }

    // MARK: Files and frames

    private static func topology(using random: inout SeededRandom) -> Topology {
        var topology = Topology()
        let raw: OverlayKind = Bool.random(using: &random) ? .gre : .nvgre
        let kinds = [
            OverlaySpec(), OverlaySpec(port: 8472), OverlaySpec(kind: .geneve),
            OverlaySpec(kind: .geneve, port: 7000), OverlaySpec(kind: raw),
        ]
        func overlay() -> OverlaySpec { kinds[Int.random(in: 0..<kinds.count, using: &random)] }
        topology.overlay = overlay()
        for (index, name) in ["blue", "green", "red", "grey"].enumerated() {
            let isCarried = Int.random(in: 0..<4, using: &random) > 0
            topology.networks.append(
                NetworkSpec(
                    name: name, vlan: VLANID(10 * index + 10),
                    vni: isCarried ? 10_000 + UInt32(index) : nil,
                    overlay: isCarried && Int.random(in: 0..<3, using: &random) == 0
                        ? overlay() : nil))
        }
        // Two hosts that contradict each other make no file.
        let own = overlay()
        let isIPv6 = Bool.random(using: &random)
        for index in 0..<Int.random(in: 2...4, using: &random) {
            guard let address = IPAddress(isIPv6 ? "fd00::\(index + 1)" : "192.0.2.\(index + 1)")
            else { continue }
            var host = HostSpec(
                name: "host-\(index)", underlay: address,
                overlay: Int.random(in: 0..<3, using: &random) == 0 ? own : nil)
            for (place, network) in topology.networks.enumerated() {
                // Crossed with another network's own VLAN ID: the name is what counts.
                if index == 1, place < 2 {
                    host.vlans[network.name] = VLANID(20 - 10 * place)
                } else if Int.random(in: 0..<4, using: &random) == 0 {
                    host.vlans[network.name] = VLANID(1000 + place)
                }
                if network.vni != nil, Int.random(in: 0..<4, using: &random) == 0 {
                    host.networks.append(network.name)
                }
            }
            topology.hosts.append(host)
        }
        let names = topology.networks.map(\.name)
        for host in topology.hosts {
            for index in 0..<Int.random(in: 0...5, using: &random) {
                let carried = Array(
                    names.shuffled(using: &random).prefix(Int.random(in: 1...4, using: &random)))
                let membership: Membership =
                    Bool.random(using: &random)
                    ? .access(network: carried[0])
                    : .trunk(
                        networks: carried,
                        native: Bool.random(using: &random) ? carried[0] : nil)
                topology.ports.append(
                    PortSpec(
                        name: "\(host.name)-\(index)", host: host.name, membership: membership,
                        attachment: .tap(TAPSpec()),
                        up: Int.random(in: 0..<10, using: &random) > 0))
            }
        }
        topology.ports.shuffle(using: &random)
        return topology
    }

    private static func frame(
        to destination: UInt64, from source: UInt64, byteCount: Int = 46
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        for address in [destination, source] {
            for shift in stride(from: 40 as UInt64, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: address >> shift))
            }
        }
        bytes += [0x88, 0xB5]
        return bytes + (0..<byteCount).map { UInt8(truncatingIfNeeded: $0) }
    }

    private static func tagged(_ frame: [UInt8], _ vid: UInt16?) -> [UInt8] {
        guard let vid else { return frame }
        return frame[..<12] + [0x81, 0, UInt8(vid >> 8), UInt8(vid & 0xFF)] + frame[12...]
    }
}
