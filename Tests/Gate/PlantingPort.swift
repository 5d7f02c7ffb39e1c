import Dataplane
import Glibc

/// A port that does, after ``arm(_:)``, one of the things that the gate has to find.
final class PlantingPort: Port, @unchecked Sendable {
    // @unchecked: used by the worker's thread only once it is armed.

    enum Plant: String {
        /// One allocation, in the thousandth transmission.
        case allocation
        /// A retain and a release for every frame.
        case retain
        /// One exclusivity check, in the thousandth transmission.
        case access
        /// One page fault, in the thousandth transmission.
        case page
    }

    private final class Target {
        var count = 0
    }

    private let inner: any Port
    private let target = Target()
    private let other = Target()
    private var held: Target?
    private var plant: Plant?
    private var countdown = 1000
    private var planted: UnsafeMutableRawPointer?
    private let pageByteCount = 4096
    private var page: UnsafeMutableRawPointer?

    init(_ inner: any Port) { self.inner = inner }

    deinit {
        planted?.deallocate()
        if let page { munmap(page, pageByteCount) }
    }

    func arm(_ plant: Plant) {
        self.plant = plant
        if plant == .page {
            page = mmap(
                nil, pageByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        }
    }

    var offloads: OffloadSet { inner.offloads }
    var pollDescriptor: Int32? { inner.pollDescriptor }

    func receive(into burst: inout Burst) -> ReceiveOutcome { inner.receive(into: &burst) }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        if let plant { carryOut(plant, frames: entries.count) }
        inner.transmit(entries)
    }

    private func carryOut(_ plant: Plant, frames: Int) {
        if plant == .retain {
            for _ in 0..<frames { held = held === target ? other : target }
            return
        }
        countdown -= 1
        guard countdown == 0 else { return }
        switch plant {
        case .allocation: planted = .allocate(byteCount: 64, alignment: 16)
        case .access: access(&target.count)
        case .page: page?.storeBytes(of: 1, as: UInt8.self)
        case .retain: break
        }
    }

    /// The call of an unknown function keeps the access to `count` from being proved exclusive.
    @inline(never)
    private func access(_ count: inout Int) { count += inner.offloads.rawValue == 0 ? 1 : 2 }
}
