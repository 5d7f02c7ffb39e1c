import CLinux
import Glibc
import Wire

@testable import Ports

/// A device that notes what a session asks of it, and finds faults when told to.
final class VhostRecordingDevice: VhostDevice, @unchecked Sendable {
    // @unchecked: tests have one thread, or wait for the other.
    var events: [String] = []
    var running: [Int: VirtQueueSetup] = [:]
    var enabled: Set<Int> = []
    var memory: GuestMemory?
    var log: DirtyLog?
    var faults: [(queue: Int, fault: VhostFault)] = []
    /// What startQueue says of a queue instead of starting it.
    var refusal: VhostFault?
    /// How far queues have got, by index: what stopQueue says.
    var bases: [Int: UInt32] = [:]
    let faultDescriptor: Int32 = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))

    deinit { close(faultDescriptor) }

    func startQueue(_ index: Int, _ setup: VirtQueueSetup) throws(VhostFault) {
        if let refusal { throw refusal }
        precondition(running[index] == nil, "a running queue is started")
        running[index] = setup
        bases[index] = setup.base
        events.append("start \(index)")
    }

    func stopQueue(_ index: Int) -> UInt32? {
        guard running.removeValue(forKey: index) != nil else { return nil }
        events.append("stop \(index)")
        return bases[index]
    }

    func setEnabled(_ index: Int, _ isEnabled: Bool) {
        if isEnabled { enabled.insert(index) } else { enabled.remove(index) }
    }

    func setCall(_ index: Int, _ descriptor: Int32) {
        precondition(running[index] != nil)
        running[index]?.call = descriptor
        events.append("call \(index)")
    }

    func setKick(_ index: Int, _ descriptor: Int32) {
        precondition(running[index] != nil)
        running[index]?.kick = descriptor
        events.append("kick \(index)")
    }

    func setMemory(_ memory: GuestMemory?) {
        self.memory = memory
        events.append(memory == nil ? "no memory" : "memory \(memory!.regionCount)")
    }

    func setDirtyLog(_ log: DirtyLog?) {
        if (log == nil) != (self.log == nil) { events.append(log == nil ? "no log" : "log") }
        self.log = log
    }

    func announce(_ address: MACAddress) { events.append("announce \(address)") }

    func takeFault() -> (queue: Int, fault: VhostFault)? {
        var count: UInt64 = 0
        _ = read(faultDescriptor, &count, 8)
        return faults.isEmpty ? nil : faults.removeFirst()
    }

    func find(_ fault: VhostFault, in queue: Int) {
        faults.append((queue, fault))
        var one: UInt64 = 1
        _ = write(faultDescriptor, &one, 8)
    }
}
