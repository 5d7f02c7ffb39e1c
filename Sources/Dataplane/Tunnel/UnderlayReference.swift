/// An ``Underlay`` as workers call it: by a pointer that is not counted, for the reasons that
/// ``PortHandle`` gives.
class UnderlayHandle {
    var segments: Bool { fatalError("abstract") }
    var sourceCount: Int { fatalError("abstract") }
    func receive(into batch: inout DatagramBatch) -> ReceiveOutcome { fatalError("abstract") }
    func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) { fatalError("abstract") }

    static func make(_ underlay: some Underlay) -> UnderlayHandle {
        TypedUnderlayHandle(underlay)
    }
}

private final class TypedUnderlayHandle<U: Underlay>: UnderlayHandle {
    private let underlay: U

    init(_ underlay: U) { self.underlay = underlay }

    override var segments: Bool { underlay.segments }
    override var sourceCount: Int { underlay.sourceCount }
    override func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        underlay.receive(into: &batch)
    }
    override func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) { underlay.transmit(messages, pieces: pieces) }
}

/// A place in a snapshot's list of underlays.
struct UnderlayReference {
    private let handle: Unmanaged<UnderlayHandle>

    /// Owns a handle until ``release()``.
    init(_ underlay: any Underlay) { handle = .passRetained(UnderlayHandle.make(underlay)) }

    func release() { handle.release() }

    // The snapshot that owns the handle outlives every call through it.

    @inline(__always)
    var segments: Bool { handle._withUnsafeGuaranteedRef { $0.segments } }

    @inline(__always)
    var sourceCount: Int { handle._withUnsafeGuaranteedRef { $0.sourceCount } }

    @inline(__always)
    func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        handle._withUnsafeGuaranteedRef { $0.receive(into: &batch) }
    }

    @inline(__always)
    func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) { handle._withUnsafeGuaranteedRef { $0.transmit(messages, pieces: pieces) } }
}
