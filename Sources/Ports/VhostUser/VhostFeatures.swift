/// What a port offers a front-end, and what the two have agreed.
enum VhostFeatures {
    /// Feature bits that every port offers (``VirtioFeature``), whatever the peers of its frames take:
    /// what they do not take is finished in software. The MTU is added where one is known.
    static let offered: UInt64 =
        VirtioFeature.checksum | VirtioFeature.guestChecksum
        | VirtioFeature.guestTSO4 | VirtioFeature.guestTSO6 | VirtioFeature.guestECN
        | VirtioFeature.guestUSO4 | VirtioFeature.guestUSO6
        | VirtioFeature.hostTSO4 | VirtioFeature.hostTSO6 | VirtioFeature.hostECN
        | VirtioFeature.hostUSO
        | VirtioFeature.mergeableBuffers | VirtioFeature.status | VirtioFeature.guestAnnounce
        | VirtioFeature.multiqueue | VirtioFeature.controlQueue
        | VirtioFeature.logAll | VirtioFeature.anyLayout | VirtioFeature.indirectDescriptors
        | VirtioFeature.eventIndex | VirtioFeature.protocolFeatures | VirtioFeature.version1
        | VirtioFeature.ringPacked

    /// The numbers of the bits that are set, for messages.
    static func bitList(_ bits: UInt64) -> String {
        (0..<64).filter { bits >> UInt64($0) & 1 == 1 }.map(String.init).joined(separator: ", ")
    }
}

/// Feature bits of the vhost-user protocol itself (vhost-user, "Protocol features").
struct VhostProtocolFeatures: OptionSet, Sendable, Hashable {
    let rawValue: UInt64
    init(rawValue: UInt64) { self.rawValue = rawValue }

    private init(bit: UInt64) { rawValue = 1 << bit }

    static let multiqueue = VhostProtocolFeatures(bit: 0)
    static let sharedLog = VhostProtocolFeatures(bit: 1)
    static let rarp = VhostProtocolFeatures(bit: 2)
    static let replyAcknowledgement = VhostProtocolFeatures(bit: 3)
    static let mtu = VhostProtocolFeatures(bit: 4)
    static let backEndChannel = VhostProtocolFeatures(bit: 5)
    static let configuration = VhostProtocolFeatures(bit: 9)
    static let inflight = VhostProtocolFeatures(bit: 12)
    static let resetDevice = VhostProtocolFeatures(bit: 13)
    static let memorySlots = VhostProtocolFeatures(bit: 15)
    static let status = VhostProtocolFeatures(bit: 16)

    /// What every port offers. Not post-copy: a worker must never wait for a page that is still on
    /// another host. A channel for requests of ours is offered and never used: the driver of User-mode
    /// Linux 6.1 has no interrupt without one.
    static let offered: VhostProtocolFeatures = [
        .multiqueue, .sharedLog, .rarp, .replyAcknowledgement, .mtu, .backEndChannel,
        .configuration, .inflight, .resetDevice, .memorySlots, .status,
    ]
}
