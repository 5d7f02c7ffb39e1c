import CLinux
import SystemPackage

/// A guard made of `clsact` filters in classic BPF; see ``IngressGuard``.
final class TrafficControlGuard: StackGuard {
    private let socket: NetlinkSocket
    private let handle: UInt32
    /// Guarded devices, and whether their `clsact` was made here.
    private var devices: [Int32: Bool] = [:]

    init(instance: String) throws(NetlinkError) {
        socket = try NetlinkSocket()
        handle = Self.handle(of: instance)
    }

    func protect(_ index: Int32, name: String) throws(NetlinkError) {
        guard devices[index] == nil else { return }
        let hasQueue = try addQueue(to: index)
        do {
            try add(.ingress, to: index, sparing: nil)
            try add(.egress, to: index, sparing: IngressGuard.mark)
        } catch {
            try? Self.removeFilters(of: index, handle, hasQueue: hasQueue, by: socket)
            throw error
        }
        devices[index] = hasQueue
    }

    func release(_ index: Int32) throws(NetlinkError) {
        guard let hasQueue = devices.removeValue(forKey: index) else { return }
        try Self.removeFilters(of: index, handle, hasQueue: hasQueue, by: socket)
    }

    func close() {
        for index in devices.keys { try? release(index) }
    }

    /// Removes this instance's filters from all devices; a `clsact` stays, since nobody knows whose it
    /// is. True when there were any.
    static func removeLeftovers(instance: String) throws(NetlinkError) -> Bool {
        let socket = try NetlinkSocket()
        let handle = handle(of: instance)
        var hasFound = false
        for link in try socket.links() {
            guard try filters(of: link.index, by: socket).contains(handle) else { continue }
            try removeFilters(of: link.index, handle, hasQueue: false, by: socket)
            hasFound = true
        }
        return hasFound
    }

    /// FNV-1a of the instance, 32 bits: the same in every run, and never 0, which means any.
    private static func handle(of instance: String) -> UInt32 {
        let hash = instance.utf8.reduce(0x811C_9DC5 as UInt32) {
            ($0 ^ UInt32($1)) &* 0x0100_0193
        }
        return max(hash, 1)
    }

    /// Adds a `clsact`; false when there is one.
    private func addQueue(to index: Int32) throws(NetlinkError) -> Bool {
        do {
            try socket.perform(.createClassifierQueue(on: index))
            return true
        } catch {
            guard error.errno == .fileExists else { throw error }
            return false
        }
    }

    /// Adds a filter, unless a crash left it.
    private func add(
        _ direction: NetlinkRequest.Direction, to index: Int32, sparing mark: UInt32?
    ) throws(NetlinkError) {
        do {
            try socket.perform(
                .createDropFilter(on: index, direction, handle: handle, sparing: mark))
        } catch {
            guard error.errno == .fileExists else { throw error }
        }
    }

    private static func removeFilters(
        of index: Int32, _ handle: UInt32, hasQueue: Bool, by socket: NetlinkSocket
    ) throws(NetlinkError) {
        for direction in NetlinkRequest.Direction.allCases {
            do {
                try socket.perform(.deleteDropFilter(on: index, direction, handle: handle))
            } catch {
                // The device, its queue or the filter is gone.
                guard isGone(error) else { throw error }
            }
        }
        // Somebody else may have come to use it.
        guard hasQueue, try filters(of: index, by: socket).isEmpty else { return }
        do {
            try socket.perform(.deleteClassifierQueue(on: index))
        } catch {
            guard isGone(error) else { throw error }
        }
    }

    /// The handles of all filters at a device's `clsact`.
    private static func filters(
        of index: Int32, by socket: NetlinkSocket
    ) throws(NetlinkError) -> [UInt32] {
        var handles: [UInt32] = []
        for direction in NetlinkRequest.Direction.allCases {
            do {
                handles += try socket.dump(.listFilters(on: index, direction)) { message in
                    let header = message.header(tcmsg.self)
                    // One message of a chain of filters describes no filter, and has no handle.
                    return header.flatMap { $0.tcm_handle == 0 ? nil : $0.tcm_handle }
                }
            } catch {
                guard isGone(error) || error.errno == .notSupported else { throw error }
            }
        }
        return handles
    }

    private static func isGone(_ error: NetlinkError) -> Bool {
        switch error.errno {
        case .operationNotSupportedByDevice, .noSuchFileOrDirectory, .invalidArgument: true
        default: false
        }
    }
}
