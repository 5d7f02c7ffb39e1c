import Control
import ControlAPI
import Topology
import Trace
import Wire

/// What explains frames: the running switch, or a topology on paper.
protocol FrameTracer {
    /// Who is at a port, as far as it is known.
    func station(at port: String) throws -> (mac: MACAddress?, address: IPv4Address?)
    func trace(_ frame: [UInt8], _ port: String, _ network: String?) throws -> TraceInfo
    /// Notes that a frame of a capture has passed.
    func pass(_ frame: [UInt8], _ port: String, _ network: String?)
}

struct LiveTracer: FrameTracer {
    let client: SwitchClient

    func station(at port: String) throws -> (mac: MACAddress?, address: IPv4Address?) {
        // A tunnel has no address; one that is neither is refused when it is traced.
        guard let info = try client.ports().ports.first(where: { $0.name == port }) else {
            return (nil, nil)
        }
        return (info.mac.flatMap { MACAddress($0) }, firstIPv4(info.addresses))
    }

    func trace(_ frame: [UInt8], _ port: String, _ network: String?) throws -> TraceInfo {
        try client.trace(
            TraceRequest(port: port, frame: ProbeFrame.hex(frame), network: network))
    }

    /// The running switch learns from what really passes it.
    func pass(_ frame: [UInt8], _ port: String, _ network: String?) {}
}

struct OfflineTracer: FrameTracer {
    let offline: OfflineSwitch

    func station(at port: String) throws -> (mac: MACAddress?, address: IPv4Address?) {
        guard let spec = offline.topology.port(named: port) else { return (nil, nil) }
        let device = spec.attachment.madeDevice
        return (
            device?.mac ?? spec.staticMACs.first,
            firstIPv4((device?.addresses ?? []).map { "\($0)" })
        )
    }

    func trace(_ frame: [UInt8], _ port: String, _ network: String?) throws -> TraceInfo {
        do {
            return TraceInfo(try offline.explain(frame, from: port, network: network))
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    func pass(_ frame: [UInt8], _ port: String, _ network: String?) {
        offline.learn(from: frame, port: port, network: network)
    }
}

private func firstIPv4(_ addresses: [String]) -> IPv4Address? {
    for text in addresses {
        if case .v4(let address)? = InterfaceAddress(text)?.address { return address }
    }
    return nil
}

/// An explanation as lines, each after what it is about.
func traceText(_ trace: TraceInfo, colour: Bool = Terminal.hasColour) -> String {
    let width = trace.steps.map(\.step.count).max() ?? 0
    return trace.steps.map { step in
        let name = step.step + String(repeating: " ", count: width - step.step.count)
        var text = printable(step.text)
        if step.step == "verdict" {
            text = Terminal.styled(
                text, trace.action == "dropped" ? .bad : .good, colour: colour)
        } else if step.step == "dropped" {
            text = Terminal.styled(text, .bad, colour: colour)
        }
        return "\(name)  \(text)\n"
    }.joined()
}

func traceListText(_ list: TraceList, file: String, colour: Bool = Terminal.hasColour) -> String {
    var text = list.traces.map { trace in
        let title = "frame \(trace.number ?? 0), from \(printable(trace.port))"
        return Terminal.styled(title, .strong, colour: colour) + "\n"
            + traceText(trace, colour: colour)
    }.joined(separator: "\n")
    if list.traces.isEmpty { text += "\(printable(file)): no frame that came in\n" }
    if list.notShown > 0 {
        text += "\n\(counted(list.notShown, "frame")) more; -c \(list.traces.count + list.notShown)"
        text += " shows them\n"
    }
    return text
}
