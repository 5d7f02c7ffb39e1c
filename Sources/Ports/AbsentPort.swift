import Dataplane

/// A port into which nothing is plugged: its device is not there yet, or it is a pattern for others.
/// What is sent to it ends there.
package final class AbsentPort: Port {
    package let offloads: OffloadSet = []
    package let pollDescriptor: Int32? = nil

    package init() {}

    package func receive(into burst: inout Burst) -> ReceiveOutcome { .ended }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for index in entries.indices { entries[index].outcome = .egressDown }
    }
}
