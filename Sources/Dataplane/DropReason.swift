/// Why a frame, or one copy of a frame, ended without being transmitted.
///
/// Every discard in the switch names one of these; there is no other way to lose a frame. Reasons
/// before ``egressFull`` are charged to the ingress port (the frame died before any copy was made),
/// the others to the egress port (one copy died). The raw value indexes counter blocks and the
/// `name` is stable: it is what `heddle drops`, JSON and metrics print.
package enum DropReason: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    case none = 0
    // Charged at ingress.
    case runt
    case invalidSource
    case reservedAddress
    case reservedVLAN
    case vlanNotAllowed
    case untaggedOnTrunk
    case tagOnAccess
    case secondTag
    case sourcePinned
    case oversize
    case invalidOffload
    case hairpin
    case isolated
    case notMember
    case floodNowhere
    case truncatedRead
    case portDown
    // Charged at ingress, of what came by a tunnel.
    case unknownVTEP
    case ownPacket
    case malformedTunnel
    case criticalOption
    case unknownVNI
    case tagInTunnel
    case splitHorizon
    case noFrameSlot
    // Charged at egress.
    case egressFull
    case egressDown
    case egressRejected
    case egressHandoffFull
    case cannotSegment
    case tunnelDown
    case overlayMTU

    /// Whether the reason is charged to the egress port, copy by copy.
    package var isEgress: Bool { rawValue >= DropReason.egressFull.rawValue }

    /// The stable, lower-case name that users see.
    package var name: String {
        switch self {
        case .none: "none"
        case .runt: "runt"
        case .invalidSource: "invalid-source"
        case .reservedAddress: "reserved-address"
        case .reservedVLAN: "reserved-vlan"
        case .vlanNotAllowed: "vlan-not-allowed"
        case .untaggedOnTrunk: "untagged-on-trunk"
        case .tagOnAccess: "tag-on-access"
        case .secondTag: "second-tag"
        case .sourcePinned: "source-pinned"
        case .oversize: "oversize"
        case .invalidOffload: "invalid-offload"
        case .hairpin: "hairpin"
        case .isolated: "isolated"
        case .notMember: "not-member"
        case .floodNowhere: "flood-nowhere"
        case .truncatedRead: "truncated-read"
        case .portDown: "port-down"
        case .unknownVTEP: "unknown-vtep"
        case .ownPacket: "own-packet"
        case .malformedTunnel: "malformed-tunnel"
        case .criticalOption: "critical-option"
        case .unknownVNI: "unknown-vni"
        case .tagInTunnel: "tag-in-tunnel"
        case .splitHorizon: "split-horizon"
        case .noFrameSlot: "no-frame-slot"
        case .tunnelDown: "tunnel-down"
        case .overlayMTU: "overlay-mtu"
        case .egressFull: "egress-full"
        case .egressDown: "egress-down"
        case .egressRejected: "egress-rejected"
        case .egressHandoffFull: "egress-handoff-full"
        case .cannotSegment: "cannot-segment"
        }
    }

    /// What happened, as one sentence for an operator.
    package var sentence: String {
        switch self {
        case .none: "the frame was not dropped"
        case .runt: "the frame ends inside its Ethernet header or VLAN tag"
        case .invalidSource: "the source address is a group address or all zero"
        case .reservedAddress:
            "the destination is one of 01:80:c2:00:00:0X, which a bridge must not forward"
        case .reservedVLAN: "the frame carries VLAN 4095, which IEEE 802.1Q reserves"
        case .vlanNotAllowed: "the frame's VLAN is not in the port's trunk"
        case .untaggedOnTrunk: "an untagged frame came to a trunk that has no native network"
        case .tagOnAccess: "a tagged frame came to an access port"
        case .secondTag:
            "the frame carries a second 802.1Q tag, which could lead it into another network"
        case .sourcePinned: "the source address is pinned to another port"
        case .oversize: "the packet is larger than the network's MTU"
        case .invalidOffload: "the frame's offload request contradicts its bytes"
        case .hairpin: "the destination is behind the port that the frame came from"
        case .isolated: "both ports are isolated"
        case .notMember: "the destination's port is no member of the frame's network"
        case .floodNowhere: "the frame was to be flooded, but the network has no other port"
        case .truncatedRead: "the frame was longer than a frame slot"
        case .portDown: "the port that the frame came from is administratively down"
        case .unknownVTEP: "an encapsulated frame came from an address that is no declared host's"
        case .ownPacket: "an encapsulated frame came back that this host had sent"
        case .malformedTunnel: "the encapsulation's header is cut off or breaks its standard"
        case .criticalOption:
            "the Geneve header has an option that is marked critical and that the switch does not know"
        case .unknownVNI: "the frame's VNI is no network's that the sending host takes part in"
        case .tagInTunnel: "the encapsulated frame carries a VLAN tag"
        case .splitHorizon: "the frame came by a tunnel and its destination is behind another one"
        case .noFrameSlot:
            "no frame slot was free: the workers that were handed frames did not keep up"
        case .tunnelDown: "the tunnel to the destination's host is down"
        case .overlayMTU: "the packet is too large for the tunnel, and must not be fragmented"
        case .egressFull: "the port's queue was full: its reader is too slow or has stopped"
        case .egressDown: "the port's device is down, or nobody is at its other end"
        case .egressRejected: "the kernel or the peer refused the frame"
        case .egressHandoffFull: "the worker that owns the egress port did not keep up"
        case .cannotSegment: "the port cannot take super-frames and this one cannot be segmented"
        }
    }

    /// What an operator can do about it.
    package var remedy: String {
        switch self {
        case .none: ""
        case .runt, .invalidSource, .truncatedRead:
            "look at what the sender emits: 'heddle capture PORT -w FILE'"
        case .reservedAddress:
            "none needed: STP, LLDP and LACP end at the switch; turn them off at the sender to "
                + "silence this"
        case .reservedVLAN: "use VLAN 1 to 4094 at the sender"
        case .vlanNotAllowed: "add the network to the port's 'trunk:', or fix the tag at the sender"
        case .untaggedOnTrunk: "give the port a 'native:' network, or tag the frames at the sender"
        case .tagOnAccess:
            "make the port a trunk ('trunk: [NETWORK, …]'), or send untagged frames"
        case .secondTag: "stack tags as 802.1ad does, with TPID 0x88A8 on the outer one"
        case .sourcePinned:
            "if the host really moved, delete its entry: 'heddle fdb delete NETWORK MAC'"
        case .oversize: "raise the network's 'mtu:', or lower the MTU at the sender"
        case .invalidOffload: "update the guest's network driver, or turn its offloads off"
        case .hairpin:
            "none needed, unless two hosts share this port: they must reach each other "
                + "before the switch"
        case .isolated: "remove 'isolated: true' from one of the ports if they are to talk"
        case .notMember: "add the destination's port to the network"
        case .floodNowhere: "connect another port to the network"
        case .portDown: "remove 'up: false' from the port"
        case .unknownVTEP:
            "if the sender is a VTEP of yours, declare it under 'hosts:' with its 'underlay:' address"
        case .ownPacket: "look for a device on the underlay that reflects packets"
        case .malformedTunnel:
            "see who sends it: 'tcpdump' on the underlay; both ends must use one encapsulation"
        case .criticalOption: "turn the option off at the sender"
        case .unknownVNI:
            "apply the same topology on both hosts; a VTEP that is not Heddle needs 'networks:' "
                + "under its host"
        case .tagInTunnel: "send untagged frames into the tunnel: the VNI tells the network"
        case .splitHorizon:
            "none needed if it is rare; tunnels must connect every pair of hosts, none forwards for "
                + "another"
        case .tunnelDown: "see 'heddle tunnel show TUNNEL' for the reason"
        case .overlayMTU:
            "lower the network's 'mtu:' to what fits ('heddle topology plan' says it), or raise the "
                + "underlay's"
        case .egressFull:
            "see what the receiver does; a longer device queue "
                + "(ip link set DEV txqueuelen N) rides out bursts"
        case .egressDown:
            "see 'heddle port show PORT': bring the device up ('ip link set DEV up' in its namespace), "
                + "or start the machine"
        case .egressRejected: "see 'heddle port show PORT' and the kernel log"
        case .egressHandoffFull, .noFrameSlot: "run with more or with fewer workers ('--workers')"
        case .cannotSegment: "turn segmentation offload off at the sender: 'ethtool -K DEV tso off'"
        }
    }
}
