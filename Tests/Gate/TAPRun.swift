import CLinux
import Dataplane
import GateHooks
import Glibc
import Ports

/// A forwarding thread between two real TAPs in a network namespace of its own: frames come from a
/// packet socket on the first's interface and leave by the second's, where nobody wants them.
enum TAPRun {
    /// Frames before the measurement; every slot has been in use by then.
    private static let warmUp = 20_000
    /// The sender gives up after this long.
    private static let limit: UInt64 = 120_000_000_000
    private static let addresses: [UInt64] = [0x0200_0000_0001, 0x0200_0000_0002]

    static func measure(frames: UInt64, plant: PlantingPort.Plant?) -> Finding {
        enterNamespace()
        let devices = ["gate0", "gate1"].map { name in
            do {
                let device = try TAPDevice(name, .create)
                bringUp(name)
                return device
            } catch {
                Gate.skip("no TAP device: \(error)")
            }
        }
        let planting = PlantingPort(TAPPort(device: devices[1]))
        let window = WindowPort(
            TAPPort(device: devices[0]), first: warmUp, count: Int(frames),
            onOpen: { if let plant { planting.arm(plant) } })
        let fabric = Fabric(portCapacity: 64, domainCapacity: 16, fdbCapacity: 4096)
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: [DomainConfiguration(number: 1, vid: 10)],
                ports: [
                    PortConfiguration(number: 0, membership: .access(domain: 1), port: window),
                    PortConfiguration(number: 1, membership: .access(domain: 1), port: planting),
                ]))
        do {
            let thread = try WorkerThread(fabric: fabric, index: 0)
            try thread.start()
            let faults = drive(window, fabric, devices)
            thread.stop()
            return Finding(
                mode: "tap", frames: frames, bursts: window.bursts, window: window.window,
                faults: faults)
        } catch {
            Gate.skip("no forwarding thread: \(error)")
        }
    }

    /// Sends until the window has closed; what went wrong.
    private static func drive(
        _ window: WindowPort, _ fabric: Fabric, _ devices: [TAPDevice]
    ) -> [String] {
        guard
            let answer = FrameSender(
                index: devices[1].index, frame: frame(to: 0xFFFF_FFFF_FFFF, from: addresses[1])),
            let sender = FrameSender(
                index: devices[0].index, frame: frame(to: addresses[1], from: addresses[0]))
        else { Gate.skip("no packet socket: \(String(cString: strerror(errno)))") }
        let deadline = Window.now() + limit
        // The destination is heard once, so that it is known.
        while fabric.fdb.learnedCount == 0, Window.now() < deadline {
            _ = answer.send(1)
            usleep(1000)
        }
        var sent = 0
        while !window.hasClosed, Window.now() < deadline {
            // Never more than the device's queue holds: what it drops would be work for nothing.
            if sent - window.receivedCount < 400 {
                let taken = sender.send(64)
                sent += taken
                if taken == 0 { sched_yield() }
            } else {
                // Frames that were lost on the way must not stop the run.
                sched_yield()
                let before = window.receivedCount
                usleep(50)
                if window.receivedCount == before { sent = before }
            }
        }
        var faults: [String] = []
        if !window.hasClosed {
            faults.append(
                "only \(window.receivedCount) frames came through in \(limit / 1_000_000_000) s")
        }
        let forwarded = fabric.value(.transmitted, port: 1)
        if forwarded < UInt64(window.receivedCount) / 100 * 99 {
            faults.append("only \(forwarded) of \(window.receivedCount) frames were transmitted")
        }
        return faults
    }

    /// 64 bytes of an experimental EtherType, which no stack answers.
    private static func frame(to destination: UInt64, from source: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        for address in [destination, source] {
            for place in (0..<6).reversed() {
                bytes.append(UInt8(truncatingIfNeeded: address >> UInt64(8 * place)))
            }
        }
        return bytes + [0x88, 0xB5] + [UInt8](repeating: 0xAA, count: 50)
    }

    private static func enterNamespace() {
        if unshare(CLONE_NEWNET) == 0 { return }
        guard unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 else {
            Gate.skip(
                "a network namespace needs root or user namespaces: "
                    + String(cString: strerror(errno)))
        }
    }

    private static func bringUp(_ name: String) {
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var request = ifreq()
        clinux_ifreq_set_name(&request, name)
        clinux_ifreq_set_flags(&request, Int32(IFF_UP | IFF_NOARP))
        guard clinux_ioctl_pointer(socket, UInt(SIOCSIFFLAGS), &request) == 0 else {
            Gate.skip("\(name) cannot be brought up: \(String(cString: strerror(errno)))")
        }
    }
}
