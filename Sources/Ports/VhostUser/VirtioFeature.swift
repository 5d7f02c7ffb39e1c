/// Feature bits of virtio-net and of the rings (virtio 1.3 sections 5.1.3 and 6), as masks.
package enum VirtioFeature {
    package static let checksum: UInt64 = 1 << 0
    package static let guestChecksum: UInt64 = 1 << 1
    package static let controlGuestOffloads: UInt64 = 1 << 2
    package static let mtu: UInt64 = 1 << 3
    package static let mac: UInt64 = 1 << 5
    package static let guestTSO4: UInt64 = 1 << 7
    package static let guestTSO6: UInt64 = 1 << 8
    package static let guestECN: UInt64 = 1 << 9
    package static let guestUFO: UInt64 = 1 << 10
    package static let hostTSO4: UInt64 = 1 << 11
    package static let hostTSO6: UInt64 = 1 << 12
    package static let hostECN: UInt64 = 1 << 13
    package static let mergeableBuffers: UInt64 = 1 << 15
    package static let status: UInt64 = 1 << 16
    package static let controlQueue: UInt64 = 1 << 17
    package static let controlReceive: UInt64 = 1 << 18
    package static let controlVLAN: UInt64 = 1 << 19
    package static let controlReceiveExtra: UInt64 = 1 << 20
    package static let guestAnnounce: UInt64 = 1 << 21
    package static let multiqueue: UInt64 = 1 << 22
    package static let controlMACAddress: UInt64 = 1 << 23
    package static let notifyOnEmpty: UInt64 = 1 << 24
    package static let logAll: UInt64 = 1 << 26
    package static let anyLayout: UInt64 = 1 << 27
    package static let indirectDescriptors: UInt64 = 1 << 28
    package static let eventIndex: UInt64 = 1 << 29
    package static let protocolFeatures: UInt64 = 1 << 30
    package static let version1: UInt64 = 1 << 32
    package static let accessPlatform: UInt64 = 1 << 33
    package static let ringPacked: UInt64 = 1 << 34
    package static let inOrder: UInt64 = 1 << 35
    package static let guestUSO4: UInt64 = 1 << 54
    package static let guestUSO6: UInt64 = 1 << 55
    package static let hostUSO: UInt64 = 1 << 56
}
