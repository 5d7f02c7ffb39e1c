import CLinux
import SystemPackage

/// A guard made of nf_tables chains; see ``IngressGuard``.
final class NetfilterGuard: StackGuard {
    /// Whether the table belongs to this object's socket and ends with it.
    let isOwned: Bool
    private let table: String
    private let socket: NetfilterSocket
    /// Guarded devices and their names, by which newer kernels (Linux 6.16) find them again.
    private var devices: [Int32: String] = [:]
    /// Whether this kernel has a hook on the way out, as far as is known.
    private var hasEgressHook = true
    private var isClosed = false

    /// Makes the table, in place of one that was left.
    init(instance: String) throws(IngressGuardError) {
        table = Self.table(of: instance)
        do throws(NetlinkError) {
            socket = try NetfilterSocket()
        } catch {
            throw .netlink(error)
        }
        if try Self.create(table, isOwned: true, by: socket) {
            isOwned = true
        } else {
            isOwned = false
            _ = try Self.create(table, isOwned: false, by: socket)
        }
    }

    func protect(_ index: Int32, name: String) throws(NetlinkError) {
        precondition(!isClosed)
        guard devices[index] != name else { return }
        try release(index)
        let ingress = NetlinkRequest.createDropChain(
            Self.ingress(index), in: table, hook: CLINUX_NF_NETDEV_INGRESS, device: name)
        let egress = Self.egress(index)
        if hasEgressHook {
            do {
                try socket.perform([
                    ingress,
                    .createDropChain(
                        egress, in: table, hook: CLINUX_NF_NETDEV_EGRESS, device: name),
                    .acceptMark(IngressGuard.mark, in: egress, of: table),
                ])
                devices[index] = name
                return
            } catch {
                guard error.errno == .notSupported || error.errno == .invalidArgument else {
                    throw error
                }
            }
        }
        try socket.perform([ingress])
        // It was the other hook that the kernel does not know.
        hasEgressHook = false
        devices[index] = name
    }

    func release(_ index: Int32) throws(NetlinkError) {
        guard devices.removeValue(forKey: index) != nil else { return }
        for chain in [Self.ingress(index), Self.egress(index)] {
            do {
                try socket.perform([.deleteChain(chain, in: table)])
            } catch {
                // It went with the device, or never was.
                guard error.errno == .noSuchFileOrDirectory else { throw error }
            }
        }
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        devices = [:]
        try? socket.perform([.deleteTable(table)])
    }

    /// Removes a table that is nobody's; false when there is none.
    static func removeLeftovers(instance: String) throws(IngressGuardError) -> Bool {
        let socket: NetfilterSocket
        do throws(NetlinkError) {
            socket = try NetfilterSocket()
        } catch {
            throw .netlink(error)
        }
        return try remove(table(of: instance), by: socket)
    }

    private static func table(of instance: String) -> String { "heddle-\(instance)" }
    private static func ingress(_ index: Int32) -> String { "ingress-\(index)" }
    private static func egress(_ index: Int32) -> String { "egress-\(index)" }

    /// Makes the table; false when the kernel knows no owners.
    private static func create(
        _ table: String, isOwned: Bool, by socket: NetfilterSocket
    ) throws(IngressGuardError) -> Bool {
        var attempts = 0
        while true {
            attempts += 1
            do throws(NetlinkError) {
                try socket.perform([.createTable(table, isOwned: isOwned)])
                return true
            } catch {
                switch error.errno {
                case .fileExists where attempts == 1, .notPermitted where attempts == 1:
                    // EPERM: another's, or nothing is permitted at all; removing it tells which.
                    guard try remove(table, by: socket) else { throw .netlink(error) }
                case .notSupported where isOwned, .invalidArgument where isOwned:
                    return false
                default:
                    throw .netlink(error)
                }
            }
        }
    }

    /// Removes a table; false when there is none.
    private static func remove(
        _ table: String, by socket: NetfilterSocket
    ) throws(IngressGuardError) -> Bool {
        do throws(NetlinkError) {
            try socket.perform([.deleteTable(table)])
            return true
        } catch {
            switch error {
            case .refused(_, _, .noSuchFileOrDirectory, _): return false
            case .refused(_, let object, .notPermitted, _) where object != NetfilterSocket.batch:
                // Without CAP_NET_ADMIN the batch would have been refused.
                throw .held(table: table)
            default: throw .netlink(error)
            }
        }
    }
}
