import Dataplane
import Netlink
import Ports
import Topology
import Wire

/// A port that exists: its declaration and what stands behind it.
struct LivePort: Sendable {
    var spec: PortSpec
    /// Stays with the name across restarts.
    let number: UInt16
    var origin: ObservedPort.Origin
    /// What the workers call: a device's descriptor, a peer's socket, a file, or nothing yet.
    var attachment: any Port
    /// The kernel's end of a TAP, the far end of a veth, or the device that a device port has.
    var device: Device?
    var condition: ObservedPort.Condition = .up
    /// Of a discovered port: the declared port whose pattern found the device; nil where the device's
    /// alias did.
    var template: String?
    /// Set while a client's connection holds the port.
    var lease: UInt64?
    /// Set while the switch itself keeps the port down.
    var hold: Hold?

    /// Whether the port has a device that Heddle made.
    var ownsDevice: Bool { device?.isOurs == true }

    /// The process at the other end, of a port that has one.
    var peer: (any PeerPort)? { attachment as? any PeerPort }

    /// Whether the port can carry frames, with its device as it is.
    func condition(with link: Link) -> ObservedPort.Condition {
        guard link.flags.contains(.up) else {
            return .down(reason: "device \(link.name) is down in its namespace")
        }
        // What is sent to a device that has no carrier yet is lost without a word.
        guard !isBorrowed || link.flags.contains(.running) else {
            return .down(
                reason:
                    "device \(link.name) has no carrier: nobody has its other end, or it is down")
        }
        return .up
    }

    /// Whether its device is somebody else's, which comes and goes by itself.
    var isBorrowed: Bool {
        if case .borrowed = device?.ownership { true } else { false }
    }

    /// Whether floods reach it. A TAP's and a veth's kernel end is always there, and at a template
    /// nobody ever is.
    var hasPeer: Bool {
        switch spec.attachment {
        case .tap, .pcap, .veth: true
        case .device(.match): false
        case .device, .vhostUser, .socket: condition == .up
        }
    }

    /// That the port is kept down, because of a loop say.
    struct Hold: Sendable, Equatable {
        var seconds: Int
        /// A clause: `it is in a loop with port 'a'`.
        var reason: String
        /// Tells this hold from a later one.
        var number: UInt64
    }

    struct Device: Sendable {
        var name: String
        var index: Int32
        /// The namespace that it is in; nil for the switch's own.
        var namespace: NetworkNamespace?
        var ownership: Ownership
        /// The alternative name that marks it as ours.
        var mark: String
        /// The device that the host's own stack is kept from: this one, or of a veth the near end.
        var guardedIndex: Int32?

        /// Whether it is Heddle's to alter and to remove.
        var isOurs: Bool {
            switch ownership {
            case .made, .adopted: true
            case .found, .borrowed: false
            }
        }

        enum Ownership: Sendable {
            case made
            /// Ours, from an earlier run.
            case adopted
            /// A persistent TAP that was there, in this state: it is used, given back and stays.
            case found(addresses: [InterfaceAddress], wasUp: Bool)
            /// Somebody's device that is a port while it is there: it is given back as it was.
            case borrowed(wasUp: Bool)
        }
    }
}
