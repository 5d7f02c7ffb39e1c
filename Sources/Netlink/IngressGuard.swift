// Keeps the host's own stack off the devices that the switch has taken up.
//
// A packet socket sees a device's frames beside the stack, not in its place. Unguarded, the host answers
// ARP, echo requests and SYNs that are for others or for all, and sends by the device what a stack sends
// by itself: router solicitations, duplicate address detection, multicast reports. As at a bridge's port,
// neither is wanted. So two hooks are set: one on the way in, behind packet sockets, which drops every
// frame, and one on the way out, which only what bears ``IngressGuard/mark`` passes, as the switch's own
// frames do. No setting of the device is touched; addresses that it has are of no use meanwhile.
//
// There are three means, tried in this order:
//
// 1. Two BPF programs at the device (tcx, Linux 6.6), where the process may load them: not in a user
//    namespace. They cost a frame next to nothing (1 % at 64 bytes between two veths), and end with the
//    process, however it ends.
// 2. Chains of an nf_tables table `heddle-<instance>` that belongs to our netlink socket
//    (NFT_TABLE_F_OWNER, Linux 5.12): nobody else can alter it, `nft flush ruleset` passes it over, and
//    the kernel removes it with the socket, so that not even SIGKILL leaves a trace. Older kernels get the
//    same table without an owner, and a later run removes what a crash left. The hook on the way out is of
//    Linux 5.16; before, there is none. It costs 10 % at 64 bytes.
// 3. Filters in classic BPF at a `clsact`, where there is no nf_tables. They bear a number made of the
//    instance, and a crash leaves them until a later run.
//
// Requests block for the kernel's work only. A guard belongs to the network namespace of the thread that
// made it, and is not thread-safe.

import SystemPackage

/// Why a device cannot be kept from the host's stack.
package enum IngressGuardError: Error, CustomStringConvertible {
    /// The kernel has none of the means.
    case unsupported(netfilter: NetlinkError, trafficControl: NetlinkError)
    /// Another running switch has the same instance name in this namespace.
    case held(table: String)
    case netlink(NetlinkError)

    package var description: String {
        switch self {
        case .unsupported(let netfilter, let trafficControl):
            "the host's stack cannot be kept from devices of the switch: \(netfilter); and "
                + "\(trafficControl); load the module 'nf_tables', or 'cls_bpf' and 'sch_ingress'"
        case .held(let table):
            "the host's stack cannot be kept from devices of the switch: nf_tables table "
                + "'\(table)' belongs to another process ('nft list table netdev \(table)'): stop "
                + "the other switch of that name"
        case .netlink(let error): "\(error)"
        }
    }
}

/// What keeps the host's stack from devices, by one of the means.
protocol StackGuard: AnyObject {
    /// All or nothing; nothing for a device that is guarded already.
    func protect(_ index: Int32, name: String) throws(NetlinkError)
    /// No error when the device is gone or was not guarded.
    func release(_ index: Int32) throws(NetlinkError)
    /// Releases every device and leaves nothing behind.
    func close()
}

package final class IngressGuard {
    /// What the switch's own frames bear (SO_MARK), so that they pass. It ends where a frame enters
    /// another namespace.
    package static let mark: UInt32 = 0x6865_646C

    /// What it is done with.
    package enum Means: Sendable, CaseIterable {
        case bpf, netfilter, trafficControl
    }

    package let means: Means
    private let implementation: any StackGuard
    /// Why it is not nf_tables.
    private let refusal: NetlinkError?

    /// Prepares to guard devices of the current thread's network namespace, and removes what a crash of
    /// an earlier run may have left.
    ///
    /// - Parameters:
    ///   - instance: the switch's instance: letters, digits, '-' and '_'.
    ///   - candidates: the means to try, in the order of ``Means``.
    package init(
        instance: String, candidates: [Means] = Means.allCases
    ) throws(IngressGuardError) {
        if candidates.contains(.bpf), let bpf = try? BPFGuard() {
            implementation = bpf
            means = .bpf
            refusal = nil
            try IngressGuard.removeLeftovers(instance: instance)
            return
        }
        var refusal = NetlinkError.refused(
            operation: "use", object: "nf_tables", errno: .notSupported, message: nil)
        if candidates.contains(.netfilter) {
            do throws(IngressGuardError) {
                implementation = try NetfilterGuard(instance: instance)
                means = .netfilter
                self.refusal = nil
                return
            } catch {
                guard case .netlink(let cause) = error, Self.isMissing(cause) else { throw error }
                refusal = cause
            }
        }
        do {
            implementation = try TrafficControlGuard(instance: instance)
        } catch {
            throw .netlink(error)
        }
        means = .trafficControl
        self.refusal = refusal
    }

    deinit { close() }

    /// Guards a device until ``release(_:)``, or its end. All or nothing. Say it again when the device
    /// has got another name: nf_tables goes by names. Call it in the guard's namespace.
    package func protect(_ index: Int32, name: String) throws(IngressGuardError) {
        do throws(NetlinkError) {
            try implementation.protect(index, name: name)
        } catch {
            if let refusal, Self.isMissing(error) {
                throw .unsupported(netfilter: refusal, trafficControl: error)
            }
            throw .netlink(error)
        }
    }

    /// Lets the host's stack have the device again. No error when it is gone.
    package func release(_ index: Int32) throws(IngressGuardError) {
        do throws(NetlinkError) {
            try implementation.release(index)
        } catch {
            throw .netlink(error)
        }
    }

    /// Releases every device and leaves nothing behind. Nothing more can be guarded.
    package func close() { implementation.close() }

    /// Removes what a run of this instance that ended by a crash left in the current thread's network
    /// namespace; true when there was something. What a running switch owns is left alone.
    @discardableResult
    package static func removeLeftovers(instance: String) throws(IngressGuardError) -> Bool {
        var hasFound = false
        do throws(IngressGuardError) {
            hasFound = try NetfilterGuard.removeLeftovers(instance: instance)
        } catch {
            switch error {
            case .held: break
            case .netlink(let cause) where isMissing(cause): break
            default: throw error
            }
        }
        do throws(NetlinkError) {
            if try TrafficControlGuard.removeLeftovers(instance: instance) { hasFound = true }
        } catch {
            throw .netlink(error)
        }
        return hasFound
    }

    /// Whether the kernel has no such thing, as opposed to refusing it.
    private static func isMissing(_ error: NetlinkError) -> Bool {
        switch error.errno {
        case .notSupported, .protocolNotSupported, .invalidArgument, .noSuchFileOrDirectory: true
        default: false
        }
    }
}
