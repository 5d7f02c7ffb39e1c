import Wire

/// What a vhost-user session drives, and how it says what to run: the seam between the protocol,
/// which negotiates and maps, and the data path, which moves frames.
///
/// The session decides nothing about frames, the device nothing about messages. All calls of the
/// session come from the ``PeerLoop``'s thread, one at a time, and never with the port's lock held;
/// when one returns, no worker uses what it took away any more.
package protocol VhostDevice: AnyObject, Sendable {
    /// Starts a ring, from `setup.base` on. It serves nothing until it is enabled, before or after.
    ///
    /// - Parameter index: even: the driver receives by it and the switch transmits; odd: the other
    ///   way round. With VIRTIO_NET_F_CTRL_VQ negotiated one more is the control queue: the one
    ///   after all pairs that the device has with VIRTIO_NET_F_MQ, queue 2 without.
    func startQueue(_ index: Int, _ setup: VirtQueueSetup) throws(VhostFault)
    /// Stops a ring for good: nothing of its memory is touched from here on.
    ///
    /// - Returns: the base for GET_VRING_BASE; nil when it never ran.
    func stopQueue(_ index: Int) -> UInt32?
    /// A ring that is started and not enabled discards what its driver transmits. What is set stays,
    /// whether the ring runs or not.
    func setEnabled(_ index: Int, _ isEnabled: Bool)
    /// The eventfd that tells the driver of used buffers; -1 when it polls.
    func setCall(_ index: Int, _ descriptor: Int32)
    /// The eventfd by which the driver tells of available buffers; -1 when the ring is to be polled.
    func setKick(_ index: Int, _ descriptor: Int32)
    /// Exchanges the table that guest addresses are translated by. Rings keep their addresses: those
    /// that lie elsewhere now have to be stopped before and started anew after.
    func setMemory(_ memory: GuestMemory?)
    func setDirtyLog(_ log: DirtyLog?)
    /// Makes the guest known to the network as if it had spoken: a RARP frame from this address is
    /// received next.
    func announce(_ address: MACAddress)

    /// What the data path found wrong in a ring, once. All rings of the device have stopped then.
    func takeFault() -> (queue: Int, fault: VhostFault)?
    /// An eventfd that is readable while ``takeFault()`` has something.
    var faultDescriptor: Int32 { get }
}

/// How a ring is to be run: checked addresses and positions.
///
/// Every pointer lies inside mapped memory with all that the ring's size needs behind it. Descriptors
/// stay the session's: the device closes none of them.
package struct VirtQueueSetup {
    /// Descriptors in the ring. Split: a power of two up to 32768; packed: any number up to 32768.
    package var size: UInt16
    package var isPacked: Bool
    /// The descriptor table or ring: 16 bytes each, aligned to 16.
    package var descriptors: UnsafeMutableRawPointer
    /// Split: the available ring, aligned to 2. Packed: the driver's event suppression, aligned to 4.
    package var driverArea: UnsafeMutableRawPointer
    /// Split: the used ring, aligned to 4. Packed: the device's event suppression, aligned to 4.
    package var deviceArea: UnsafeMutableRawPointer
    /// What SET_VRING_BASE said. Split: the index of the next available entry. Packed: bits 0 to 14
    /// the next available descriptor, 15 its wrap counter, 16 to 30 the next used one, 31 its wrap
    /// counter; all of the upper half 0 when both are the same.
    package var base: UInt32
    /// The negotiated features of the device.
    package var features: UInt64
    /// -1 when there is none: the ring is polled.
    package var kick: Int32
    /// -1 when there is none: the driver polls.
    package var call: Int32
    /// Where a fault is signalled; -1 for nowhere.
    package var err: Int32
    /// The guest address of what returning buffers writes to, when that is to be logged
    /// (VHOST_VRING_F_LOG). Split: the used ring; packed: the descriptor ring.
    package var usedLogAddress: UInt64?
    /// This queue's part of the region that tracks buffers in flight (QueueRegionSplit or
    /// QueueRegionPacked of the vhost-user specification), aligned to 8: all zero when it is new, or
    /// as an earlier back-end left it.
    package var inflight: UnsafeMutableRawPointer?

    package init(
        size: UInt16, isPacked: Bool, descriptors: UnsafeMutableRawPointer,
        driverArea: UnsafeMutableRawPointer, deviceArea: UnsafeMutableRawPointer, base: UInt32,
        features: UInt64, kick: Int32 = -1, call: Int32 = -1, err: Int32 = -1,
        usedLogAddress: UInt64? = nil, inflight: UnsafeMutableRawPointer? = nil
    ) {
        self.size = size
        self.isPacked = isPacked
        self.descriptors = descriptors
        self.driverArea = driverArea
        self.deviceArea = deviceArea
        self.base = base
        self.features = features
        self.kick = kick
        self.call = call
        self.err = err
        self.usedLogAddress = usedLogAddress
        self.inflight = inflight
    }
}

/// Why a front-end or a guest is not served: the message, queue or descriptor by name, as a sentence
/// for an operator.
package struct VhostFault: Error, Equatable, CustomStringConvertible {
    package var sentence: String

    package init(_ sentence: String) { self.sentence = sentence }

    package var description: String { sentence }
}
