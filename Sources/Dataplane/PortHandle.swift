/// A ``Port`` as workers call it: by a pointer that is not counted.
///
/// Calling through an `any Port` that lies in memory retains and releases the port around the call,
/// two locked instructions for each receive and each egress port of a burst. The snapshot owns the
/// handles, and a worker keeps its snapshot for the length of a round; nothing more is needed.
class PortHandle {
    var offloads: OffloadSet { fatalError("abstract") }
    func receive(into burst: inout Burst) -> ReceiveOutcome { fatalError("abstract") }
    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) { fatalError("abstract") }
    func releaseBurst() { fatalError("abstract") }
    final let takesSegments: Bool

    fileprivate init(takesSegments: Bool) { self.takesSegments = takesSegments }

    /// The handle of a port.
    static func make(_ port: some Port) -> PortHandle { TypedPortHandle(port) }
}

private final class TypedPortHandle<P: Port>: PortHandle {
    private let port: P

    init(_ port: P) {
        self.port = port
        super.init(takesSegments: port.takesSegments)
    }

    override var offloads: OffloadSet { port.offloads }
    override func receive(into burst: inout Burst) -> ReceiveOutcome { port.receive(into: &burst) }
    override func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        port.transmit(entries)
    }
    override func releaseBurst() { port.releaseBurst() }
}

/// A place in a snapshot's table of handles.
struct PortReference {
    private let handle: Unmanaged<PortHandle>

    /// Owns a handle until ``release()``.
    init(_ port: any Port) { handle = .passRetained(PortHandle.make(port)) }

    func release() { handle.release() }

    // The snapshot that owns the handle outlives every call through it.

    @inline(__always)
    var offloads: OffloadSet { handle._withUnsafeGuaranteedRef { $0.offloads } }

    @inline(__always)
    func receive(into burst: inout Burst) -> ReceiveOutcome {
        handle._withUnsafeGuaranteedRef { $0.receive(into: &burst) }
    }

    @inline(__always)
    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        handle._withUnsafeGuaranteedRef { $0.transmit(entries) }
    }

    @inline(__always)
    var takesSegments: Bool { handle._withUnsafeGuaranteedRef { $0.takesSegments } }

    @inline(__always)
    func releaseBurst() { handle._withUnsafeGuaranteedRef { $0.releaseBurst() } }
}
