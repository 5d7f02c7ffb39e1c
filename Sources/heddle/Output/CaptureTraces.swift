import Capture
import ControlAPI
import Dataplane

/// Explains the frames of a capture file that came in.
struct CaptureTraces {
    let tracer: any FrameTracer
    /// Where frames come from, whatever their interface is called.
    let port: String?
    let network: String?
    let limit: Int

    func run(_ path: String) throws -> TraceList {
        let reader = try open(path)
        var list = TraceList(traces: [], notShown: 0)
        var failure: (any Error)?
        do {
            try reader.forEachFrame { frame, interfaces in
                guard frame.direction != .egress else { return true }
                guard list.traces.count < limit else {
                    list.notShown += 1
                    return true
                }
                do {
                    list.traces.append(try trace(frame, interfaces))
                    return true
                } catch {
                    failure = error
                    return false
                }
            }
        } catch {
            throw CommandFailure("\(error)")
        }
        if let failure { throw failure }
        if let cutOff = reader.cutOff { Terminal.complain("\(reader.path): \(cutOff)") }
        return list
    }

    private func trace(
        _ frame: CapturedFrame, _ interfaces: [CaptureInterface]
    ) throws -> TraceInfo {
        guard let name = port ?? interfaces[frame.interface].name else {
            throw CommandFailure(
                "frame \(frame.number): the capture does not say which port it came by: say it "
                    + "with --port PORT")
        }
        guard frame.bytes.count >= min(Int(frame.originalByteCount), SlotSize.maximumFrame) else {
            throw CommandFailure(
                "frame \(frame.number): only \(frame.bytes.count) of its "
                    + "\(frame.originalByteCount) bytes are in the capture; take one with a larger "
                    + "--snaplen, or compare topologies with --candidate, which needs only the start"
            )
        }
        let bytes = [UInt8](frame.bytes.prefix(SlotSize.maximumFrame))
        guard !bytes.isEmpty else {
            throw CommandFailure("frame \(frame.number): it has no bytes")
        }
        var trace: TraceInfo
        do {
            trace = try tracer.trace(bytes, name, network)
        } catch {
            throw CommandFailure(
                "frame \(frame.number): \(Heddle.outcome(of: error).text)"
                    + (port == nil ? "; --port PORT says where all frames come from" : ""))
        }
        trace.number = Int(frame.number)
        tracer.pass(bytes, name, network)
        return trace
    }
}

/// Opens a capture file.
func open(_ path: String) throws -> CaptureFileReader {
    do {
        return try CaptureFileReader(path: path)
    } catch {
        throw CommandFailure("\(error)")
    }
}
