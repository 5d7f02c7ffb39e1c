/// Rings: named piece by piece, run when they are whole, stopped and gone on with.
extension VhostSession {
    /// "If VHOST_USER_F_PROTOCOL_FEATURES has not been negotiated, the ring starts directly in the
    /// enabled state."
    func isEnabled(_ index: Int) -> Bool {
        rings[index].enableRequest ?? (features & VirtioFeature.protocolFeatures == 0)
    }

    func setSize(_ index: Int, _ size: UInt32) throws(VhostFault) {
        guard (1...VhostRingLayout.sizeLimit).contains(Int(size)) else {
            throw VhostFault("the front-end gives queue \(index) a size of \(size)")
        }
        abandon(index)
        rings[index].size = size
    }

    func setBase(_ index: Int, _ base: UInt32) throws(VhostFault) {
        abandon(index)
        rings[index].base = base
        rings[index].isBaseClaimed = true
    }

    /// A size or a position that comes while the ring runs is another driver's, whose predecessor
    /// went without a word (as User-mode Linux's does): that ring has ended.
    private func abandon(_ index: Int) {
        guard rings[index].isRunning else { return }
        stop(index)
        rings[index].kick = .none
    }

    /// Addresses may change under a running ring: logging of its used entries begins and ends so.
    func setAddress(_ index: Int, _ address: VhostRingAddress) -> Answer {
        guard rings[index].address != address else { return .done }
        stop(index)
        rings[index].address = address
        return startOrFail(index)
    }

    func getBase(_ index: Int) -> VhostReply {
        stop(index)
        rings[index].kick = .none
        isHalted = false
        return .ringBase(queue: UInt32(index), rings[index].base)
    }

    func setKick(_ index: Int, _ descriptor: PassedDescriptor?) throws(VhostFault) -> Answer {
        if let descriptor { try system.prepare(notifier: descriptor) }
        // Kept until the device has let go of it.
        let former = rings[index].kick
        rings[index].kick = descriptor.map { .descriptor($0) } ?? .polled
        defer { withExtendedLifetime(former) {} }
        guard rings[index].isRunning else { return startOrFail(index) }
        device.setKick(index, rings[index].kick.rawValue)
        return .done
    }

    func setCall(_ index: Int, _ descriptor: PassedDescriptor?) throws(VhostFault) {
        if let descriptor { try system.prepare(notifier: descriptor) }
        let former = rings[index].call
        rings[index].call = descriptor
        if rings[index].isRunning { device.setCall(index, descriptor?.rawValue ?? -1) }
        withExtendedLifetime(former) {}
    }

    func setError(_ index: Int, _ descriptor: PassedDescriptor?) throws(VhostFault) {
        if let descriptor { try system.prepare(notifier: descriptor) }
        guard rings[index].isRunning else {
            rings[index].err = descriptor
            return
        }
        // A running ring has been told of the former.
        stop(index)
        rings[index].err = descriptor
        _ = startOrFail(index)
    }

    /// The specification has a back-end take and discard what the driver sends by a ring that is not
    /// enabled. User-mode Linux uses the memory of such a ring for other things, so that nothing of it
    /// may be touched; and no driver sends by one.
    func setEnable(_ index: Int, _ value: UInt32) throws(VhostFault) -> Answer {
        guard value <= 1 else {
            throw VhostFault("the front-end enables queue \(index) with \(value); 0 or 1 it is")
        }
        rings[index].enableRequest = value == 1
        if value == 0 { stop(index) }
        device.setEnabled(index, value == 1)
        return startOrFail(index)
    }

    // MARK: Running

    /// Starts a ring of which everything is known; whatever is wrong with it makes the port fail.
    func startOrFail(_ index: Int) -> Answer {
        do {
            try start(index)
            return .done
        } catch {
            fail(queue: index, error)
            return .failed
        }
    }

    private func start(_ index: Int) throws(VhostFault) {
        let ring = rings[index]
        guard !isHalted, !ring.isRunning, isEnabled(index), !ring.kick.isNone, ring.size > 0,
            let address = ring.address
        else { return }
        let layout: VhostRingLayout
        do {
            layout = try VhostRingLayout(size: ring.size, features: features)
        } catch {
            throw VhostFault("queue \(index) has \(error.sentence)")
        }
        guard layout.canBegin(at: ring.base) else {
            throw VhostFault(
                "queue \(index) is to go on at 0x\(String(ring.base, radix: 16)), which a ring of "
                    + "\(ring.size) does not have")
        }
        let places = try locate(index, address, layout, in: memory)
        let part = inflight?.part(
            queue: index, ringSize: layout.size, isPacked: layout.isPacked)
        // What is in flight is noted there, and where the ring stands with it.
        let base =
            layout.isPacked && ring.isBaseClaimed && part == nil
            ? packedBase(index, layout, places) : ring.base
        let usedLog = usedLog(address, layout)
        let setup = VirtQueueSetup(
            size: UInt16(layout.size), isPacked: layout.isPacked,
            descriptors: places.descriptors, driverArea: places.driverArea,
            deviceArea: places.deviceArea, base: base, features: features,
            kick: ring.kick.rawValue, call: ring.call?.rawValue ?? -1,
            err: ring.err?.rawValue ?? -1, usedLogAddress: usedLog?.address,
            inflight: part)
        device.setEnabled(index, true)
        try device.startQueue(index, setup)
        rings[index].places = places
        rings[index].usedLog = usedLog
        problem = nil
    }

    /// Where a packed ring begins whose front-end may not know: see ``PackedRingPosition``.
    ///
    /// Of some front-ends the used half of the base is zero, which says that it is as the other. User-mode
    /// Linux, which knows split rings only, says 0 for a new ring, whose wrap counters are 1; a ring
    /// that has come to the first descriptor with wrap counters of 0 has been gone round, and that
    /// descriptor is marked as used, in the last round or to be available in this.
    private func packedBase(
        _ index: Int, _ layout: VhostRingLayout, _ places: VhostRing.Places
    ) -> UInt32 {
        let usedFlag: UInt16 = 1 << 15  // VIRTQ_DESC_F_USED
        let flags = UInt16(
            littleEndian: places.descriptors.load(fromByteOffset: 14, as: UInt16.self))
        var base = rings[index].base
        if base == 0, flags & usedFlag == 0 { base = 0x8000_8000 }
        let claimed = UInt16(truncatingIfNeeded: base >> 16 == 0 ? base : base >> 16)
        let position = PackedRingPosition(places.descriptors, size: layout.size).corrected(
            claimed, isMergeable: index & 1 == 0 && features & VirtioFeature.mergeableBuffers != 0)
        return position == claimed ? base : UInt32(position) | UInt32(position) << 16
    }

    /// Stops a ring if it runs; it may go on from where it was.
    func stop(_ index: Int) {
        guard rings[index].isRunning else { return }
        if let base = device.stopQueue(index) {
            rings[index].base = base
            rings[index].isBaseClaimed = false
        }
        // Flags and event words of the used ring are written without being logged one by one.
        if features & VirtioFeature.logAll != 0, let used = rings[index].usedLog {
            log?.mark(guestAddress: used.address, byteCount: used.byteCount)
        }
        rings[index].places = nil
        rings[index].usedLog = nil
        forgetFaults()
    }

    /// A fault is about rings that ran when the device found it. One that has not been told of when the
    /// last of them stops would be taken for the next driver's.
    private func forgetFaults() {
        guard !rings.contains(where: { $0.isRunning }) else { return }
        while let (_, fault) = device.takeFault() { problem = fault.sentence }
    }

    /// Takes the port down until the front-end begins anew.
    func fail(queue: Int, _ fault: VhostFault) {
        for index in rings.indices {
            stop(index)
            rings[index].kick = .none
        }
        isHalted = true
        problem = fault.sentence
        guard rings.indices.contains(queue), let err = rings[queue].err else {
            for ring in rings { if let err = ring.err { system.signal(err) } }
            return
        }
        system.signal(err)
    }

    // MARK: Places

    /// The parts of a ring in mapped memory.
    func locate(
        _ index: Int, _ address: VhostRingAddress, _ layout: VhostRingLayout,
        in memory: GuestMemory?
    ) throws(VhostFault) -> VhostRing.Places {
        guard let memory else { throw VhostSession.noSharedMemory }
        func place(
            _ part: String, _ address: UInt64, _ byteCount: Int, _ alignment: Int
        ) throws(VhostFault) -> UnsafeMutableRawPointer {
            guard let place = memory.ring(at: address, byteCount) else {
                throw VhostFault(
                    "queue \(index)'s \(part) of \(byteCount) bytes at 0x"
                        + String(address, radix: 16) + " is not in shared memory")
            }
            guard Int(bitPattern: place) % alignment == 0 else {
                throw VhostFault(
                    "queue \(index)'s \(part) at 0x\(String(address, radix: 16)) is not aligned to "
                        + "\(alignment) bytes")
            }
            return place
        }
        return VhostRing.Places(
            descriptors: try place(
                "descriptor ring", address.descriptors, layout.descriptorByteCount,
                VhostRingLayout.descriptorAlignment),
            driverArea: try place(
                layout.isPacked ? "driver event area" : "available ring", address.available,
                layout.driverByteCount, layout.driverAlignment),
            deviceArea: try place(
                layout.isPacked ? "device event area" : "used ring", address.used,
                layout.deviceByteCount, VhostRingLayout.deviceAlignment))
    }

    /// Where the device's writes to a ring are logged. A packed ring's used entries are written to the
    /// descriptor ring, of which the front-end names no guest address.
    private func usedLog(
        _ address: VhostRingAddress, _ layout: VhostRingLayout
    ) -> (address: UInt64, byteCount: Int)? {
        guard address.flags & VhostRingAddress.logFlag != 0 else { return nil }
        guard layout.isPacked else { return (address.log, layout.deviceByteCount) }
        guard let guest = memory?.guestAddress(ofFrontEnd: address.descriptors) else { return nil }
        return (guest, layout.descriptorByteCount)
    }

    static let noSharedMemory = VhostFault(
        "the front-end shares no guest memory: start QEMU with '-object "
            + "memory-backend-memfd,id=mem,size=SIZE,share=on -numa node,memdev=mem' (libvirt: "
            + "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>)")
}

extension GuestMemory {
    /// What the guest calls an address of the front-end's; nil when no region has it.
    func guestAddress(ofFrontEnd address: UInt64) -> UInt64? {
        for place in 0..<regionCount {
            let offset = address &- self[place].frontEndAddress
            if offset < self[place].byteCount { return self[place].guestAddress + offset }
        }
        return nil
    }
}
