import Dataplane

/// A port that allocates once, in its thousandth transmission after ``arm()``: the fault that the
/// gate has to find.
final class PlantingPort: Port, @unchecked Sendable {
    // @unchecked: used by the worker's thread only once it is armed.
    private let inner: any Port
    private var countdown = 0
    private var planted: UnsafeMutableRawPointer?

    init(_ inner: any Port) { self.inner = inner }

    deinit { planted?.deallocate() }

    func arm() { countdown = 1000 }

    var offloads: OffloadSet { inner.offloads }
    var pollDescriptor: Int32? { inner.pollDescriptor }

    func receive(into burst: inout Burst) -> ReceiveOutcome { inner.receive(into: &burst) }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        if countdown > 0 {
            countdown -= 1
            if countdown == 0 { planted = .allocate(byteCount: 64, alignment: 16) }
        }
        inner.transmit(entries)
    }
}
