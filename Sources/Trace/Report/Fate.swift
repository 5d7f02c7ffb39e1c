import Dataplane

/// How a frame ends, by names: what two switches are compared by.
package enum Fate: Hashable, Sendable {
    /// To that port or tunnel.
    case forwarded(String)
    /// To those, in order of their names.
    case flooded([String])
    /// To so many, of which it is not said which; nil where not even the number is.
    case floodedTo(count: Int?)
    /// It was the switch's own.
    case consumed
    case dropped(DropReason)
    /// For a reason that this version does not know.
    case droppedOtherwise(String)
    /// The switch has no port of the name that the frame came by.
    case noPort

    /// What happens, as one sentence; nil where the fate says it all.
    package var sentence: String? {
        switch self {
        case .dropped(let reason): reason.sentence
        case .noPort: "the topology has no port of this name"
        case .forwarded, .flooded, .floodedTo, .consumed, .droppedOtherwise: nil
        }
    }

    /// What to do about it.
    package var remedy: String? {
        switch self {
        case .dropped(let reason): reason.remedy.isEmpty ? nil : reason.remedy
        case .noPort: "declare the port, or name the file's port with '--port'"
        case .forwarded, .flooded, .floodedTo, .consumed, .droppedOtherwise: nil
        }
    }

    /// The first word, as JSON has it.
    package var action: String {
        switch self {
        case .forwarded: "forwarded"
        case .flooded, .floodedTo: "flooded"
        case .consumed: "consumed"
        case .dropped, .droppedOtherwise: "dropped"
        case .noPort: "no-port"
        }
    }

    package var reasonName: String? {
        switch self {
        case .dropped(let reason): reason.name
        case .droppedOtherwise(let name): name
        case .forwarded, .flooded, .floodedTo, .consumed, .noPort: nil
        }
    }
}

extension Fate: CustomStringConvertible {
    package var description: String {
        switch self {
        case .forwarded(let port): "forwarded to \(port)"
        case .flooded(let ports): Fate.floodText(ports.count)
        case .floodedTo(let count): count.map { Fate.floodText($0) } ?? "flooded"
        case .consumed: "consumed"
        case .dropped(let reason): "dropped: \(reason.name)"
        case .droppedOtherwise(let name): "dropped: \(name)"
        case .noPort: "no such port"
        }
    }

    private static func floodText(_ count: Int) -> String {
        "flooded to \(count) port\(count == 1 ? "" : "s")"
    }
}
