import Dataplane

/// A port of a switch that exists on paper: nothing comes from it, and it takes whatever is sent.
final class SilentPort: Port {
    let offloads = OffloadSet.all
    let pollDescriptor: Int32? = nil

    func receive(into burst: inout Burst) -> ReceiveOutcome { .ended }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for index in entries.indices { entries[index].outcome = .none }
    }
}
