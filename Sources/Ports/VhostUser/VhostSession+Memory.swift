/// What the front-end shares: guest memory, the log of dirty pages, the file of buffers in flight.
extension VhostSession {
    func setMemoryTable(
        _ regions: [VhostMemoryRegion], _ descriptors: [PassedDescriptor]
    ) throws(VhostFault) -> Answer {
        var table = GuestMemoryTable()
        for (region, descriptor) in zip(regions, descriptors) {
            try table.add(region, descriptor, map: map)
        }
        return adopt(table)
    }

    func addMemoryRegion(
        _ region: VhostMemoryRegion, _ descriptor: PassedDescriptor
    ) throws(VhostFault) -> Answer {
        var table = table
        try table.add(region, descriptor, map: map)
        return adopt(table)
    }

    func removeMemoryRegion(_ region: VhostMemoryRegion) -> Answer {
        var table = table
        table.remove(region)
        return adopt(table)
    }

    private func map(
        _ descriptor: PassedDescriptor, _ offset: UInt64, _ byteCount: UInt64
    ) throws(VhostFault) -> any SharedMemory {
        try system.map(descriptor, offset: offset, byteCount: byteCount)
    }

    /// Goes over to another table. Rings that lie in the same place in both do not notice; others
    /// are stopped before and started after.
    private func adopt(_ next: GuestMemoryTable) -> Answer {
        let nextMemory = next.memory()
        for index in rings.indices {
            guard let places = rings[index].places, let address = rings[index].address else {
                continue
            }
            let layout = try? VhostRingLayout(size: rings[index].size, features: features)
            let found = layout.flatMap { try? locate(index, address, $0, in: nextMemory) }
            if found != places { stop(index) }
        }
        device.setMemory(nextMemory)
        // Only now: what the former table had mapped goes with it.
        memory = nextMemory
        table = next
        for index in rings.indices {
            if case .failed = startOrFail(index) { return .failed }
        }
        return .done
    }

    // MARK: The dirty log

    func setLog(
        _ byteCount: UInt64, _ offset: UInt64, _ descriptor: PassedDescriptor
    ) throws(VhostFault) -> Answer {
        guard byteCount > 0, byteCount <= GuestMemoryTable.byteLimit else {
            throw VhostFault("the front-end's log of dirty pages has \(byteCount) bytes")
        }
        let mapped = try system.map(descriptor, offset: offset, byteCount: byteCount)
        log = DirtyLog(mapped.bytes, byteCount: mapped.byteCount, keeping: mapped)
        updateLog()
        // Asked for or not: the front-end waits until the former log is not written to any more.
        return .reply(.empty(to: .setLogBase))
    }

    /// Logging takes a log and the front-end's word (VHOST_F_LOG_ALL).
    func updateLog() {
        device.setDirtyLog(features & VirtioFeature.logAll != 0 ? log : nil)
    }

    // MARK: Buffers in flight

    private var isPacked: Bool { features & VirtioFeature.ringPacked != 0 }

    func getInflight(_ wanted: VhostInflight) throws(VhostFault) -> Answer {
        let byteCount = try InflightRegion.byteCount(wanted, isPacked: isPacked)
        let (descriptor, memory) = try system.makeFile(byteCount: byteCount)
        replaceInflight(with: InflightRegion(wanted, isPacked: isPacked, memory: memory))
        var given = wanted
        given.byteCount = UInt64(byteCount)
        given.offset = 0
        return .reply(.inflight(given, descriptor))
    }

    func setInflight(
        _ given: VhostInflight, _ descriptor: PassedDescriptor
    ) throws(VhostFault) {
        let byteCount = UInt64(try InflightRegion.byteCount(given, isPacked: isPacked))
        guard given.byteCount >= byteCount, given.offset % 8 == 0 else {
            throw VhostFault(
                "the front-end's file of buffers in flight has \(given.byteCount) bytes at "
                    + "\(given.offset), and \(byteCount) at a multiple of 8 are needed")
        }
        let memory = try system.map(descriptor, offset: given.offset, byteCount: byteCount)
        replaceInflight(with: InflightRegion(given, isPacked: isPacked, memory: memory))
    }

    /// Running rings write to the former: they go on in the next.
    private func replaceInflight(with next: InflightRegion) {
        let running = rings.indices.filter { rings[$0].isRunning }
        for index in running { stop(index) }
        inflight = next
        for index in running { _ = startOrFail(index) }
    }
}
