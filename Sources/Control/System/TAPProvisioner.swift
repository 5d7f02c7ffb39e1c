// The kernel's end of a TAP port: made, adopted, repaired and removed, each in one call.
//
// A device that Heddle made bears a mark, an alternative name that nobody else would choose. A
// device without it is never adopted, altered or removed, whatever its own name is.
//
// *Create* leaves nothing on failure, because a TAP becomes persistent as the last step and until
// then lives as long as its descriptor. *Adopt* and *repair* bring a device to what is declared,
// and take back what they changed when a later change fails. Addresses that are there but not
// declared are left alone: they are the guest's own (IPv6 link-local ones, for instance).
//
// Each call works on a thread of its own inside the namespace and blocks for a few requests, about
// a millisecond in all.

import Netlink
import Ports
import SystemPackage
import Wire

/// What is declared of a TAP device's kernel end.
package struct TAPInterface: Equatable, Sendable {
    /// The kernel's name for it, at most 15 bytes.
    package let name: String
    /// The alternative name that says that Heddle made it.
    package let mark: String
    /// Nil: what the kernel chose.
    package var macAddress: MACAddress?
    /// The IP MTU; nil: the kernel's 1500.
    package var mtu: Int?
    package var addresses: [InterfaceAddress]

    package init(
        name: String, mark: String, macAddress: MACAddress? = nil, mtu: Int? = nil,
        addresses: [InterfaceAddress] = []
    ) {
        self.name = name
        self.mark = mark
        self.macAddress = macAddress
        self.mtu = mtu
        self.addresses = addresses
    }
}

/// A difference between a device and its declaration, which was put right.
package enum TAPCorrection: Equatable, Sendable, CustomStringConvertible {
    case mark(String)
    case macAddress(from: MACAddress?, to: MACAddress)
    case mtu(from: Int, to: Int)
    case address(InterfaceAddress)
    case up

    package var description: String {
        switch self {
        case .mark(let mark): "marked as '\(mark)'"
        case .macAddress(let old, let new):
            "MAC address \(old.map(\.description) ?? "none") → \(new)"
        case .mtu(let old, let new): "MTU \(old) → \(new)"
        case .address(let address): "address \(address) added"
        case .up: "brought up"
        }
    }
}

package enum TAPProvisioner {
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case missing(name: String)
        /// There is a device of this name, without the mark.
        case notOurs(name: String, mark: String)
        /// A change failed, and so did taking the earlier ones back.
        case notUndone(name: String, cause: String, undo: String)

        package var description: String {
            switch self {
            case .missing(let name): "there is no device '\(name)' in its namespace"
            case .notOurs(let name, let mark):
                "device '\(name)' is not Heddle's: it lacks the alternative name '\(mark)'; "
                    + "rename or delete it, or choose another name"
            case .notUndone(let name, let cause, let undo):
                "\(cause); and what had been changed of '\(name)' could not be undone: \(undo)"
            }
        }
    }

    package enum Removal: Equatable, Sendable {
        case removed
        /// There was nothing to remove.
        case absent
    }

    /// Makes or adopts the device, brings it to what is declared, up, and makes it persistent.
    ///
    /// - Parameter namespace: the network namespace to do it in; nil: the calling thread's.
    package static func provision(
        _ interface: TAPInterface, _ origin: TAPDevice.Origin,
        in namespace: FileDescriptor? = nil
    ) throws -> TAPDevice {
        try run(in: namespace) {
            let socket = try NetlinkSocket()
            if origin == .adopt { _ = try marked(interface.name, interface.mark, socket) }
            let device = try TAPDevice(interface.name, origin)
            guard let link = try socket.link(.index(device.index)) else {
                throw Failure.missing(name: interface.name)
            }
            try correct(link, to: interface, socket)
            try device.setPersistent(true)
            return device
        }
    }

    /// Puts right what differs from the declaration; the returned list is empty when nothing did.
    /// The device may be open meanwhile.
    ///
    /// - Parameter isNew: whether the caller has just made it, so that it has no mark yet.
    package static func repair(
        _ interface: TAPInterface, isNew: Bool = false, in namespace: FileDescriptor? = nil
    ) throws -> [TAPCorrection] {
        try run(in: namespace) {
            let socket = try NetlinkSocket()
            let link: Link
            if isNew, let found = try socket.link(.name(interface.name)) {
                link = found
            } else {
                link = try marked(interface.name, interface.mark, socket)
            }
            return try correct(link, to: interface, socket)
        }
    }

    /// Removes the device, if it bears the mark. One of this name without it is an error, and stays.
    @discardableResult
    package static func remove(
        name: String, mark: String, in namespace: FileDescriptor? = nil
    ) throws -> Removal {
        try run(in: namespace) {
            let socket = try NetlinkSocket()
            do {
                try socket.deleteLink(try marked(name, mark, socket).index)
                return .removed
            } catch Failure.missing {
                return .absent
            }
        }
    }

    private static func run<Value>(
        in namespace: FileDescriptor?, _ body: () throws -> Value
    ) throws -> Value {
        guard let namespace else { return try body() }
        return try NamespaceThread.run(.existing(namespace), body)
    }

    /// The device of this name, which bears the mark.
    private static func marked(
        _ name: String, _ mark: String, _ socket: NetlinkSocket
    ) throws -> Link {
        guard let link = try socket.link(.name(name)) else { throw Failure.missing(name: name) }
        guard link.alternativeNames.contains(mark) else {
            throw Failure.notOurs(name: name, mark: mark)
        }
        return link
    }

    /// Carries out what is missing, in order; undoes it, last first, when a step fails.
    @discardableResult
    private static func correct(
        _ link: Link, to interface: TAPInterface, _ socket: NetlinkSocket
    ) throws -> [TAPCorrection] {
        var done: [TAPCorrection] = []
        do {
            for correction in try corrections(link, interface, socket) {
                try carryOut(correction, link.index, socket)
                done.append(correction)
            }
            return done
        } catch let cause {
            do {
                for correction in done.reversed() { try undo(correction, link.index, socket) }
            } catch {
                throw Failure.notUndone(
                    name: interface.name, cause: "\(cause)", undo: "\(error)")
            }
            throw cause
        }
    }

    private static func corrections(
        _ link: Link, _ interface: TAPInterface, _ socket: NetlinkSocket
    ) throws -> [TAPCorrection] {
        var corrections: [TAPCorrection] = []
        // The mark first: a device that is left half-done must be recognisable.
        if !link.alternativeNames.contains(interface.mark) {
            corrections.append(.mark(interface.mark))
        }
        if let address = interface.macAddress, address != link.address {
            corrections.append(.macAddress(from: link.address, to: address))
        }
        if let mtu = interface.mtu, mtu != link.mtu {
            corrections.append(.mtu(from: link.mtu, to: mtu))
        }
        let present = Set(try socket.addresses(of: link.index))
        corrections += interface.addresses.filter { !present.contains($0) }
            .map(TAPCorrection.address)
        if !link.flags.contains(.up) { corrections.append(.up) }
        return corrections
    }

    private static func carryOut(
        _ correction: TAPCorrection, _ index: Int32, _ socket: NetlinkSocket
    ) throws {
        switch correction {
        case .mark(let mark): try socket.addAlternativeName(mark, to: index)
        case .macAddress(_, let address): try socket.setAddress(index, to: address)
        case .mtu(_, let mtu): try socket.setMTU(index, to: mtu)
        case .address(let address): try socket.addAddress(address, to: index)
        case .up: try socket.setUp(index, true)
        }
    }

    private static func undo(
        _ correction: TAPCorrection, _ index: Int32, _ socket: NetlinkSocket
    ) throws {
        switch correction {
        case .mark(let mark): try socket.removeAlternativeName(mark, from: index)
        case .macAddress(let address?, _): try socket.setAddress(index, to: address)
        case .macAddress(nil, _): break
        case .mtu(let mtu, _): try socket.setMTU(index, to: mtu)
        case .address(let address): try socket.removeAddress(address, from: index)
        case .up: try socket.setUp(index, false)
        }
    }
}
