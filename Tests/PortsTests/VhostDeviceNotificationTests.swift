import Glibc
import TestSupport
import Testing
import Wire

@testable import Dataplane
@testable import Ports

@Suite("Notifications of a vhost-user device")
struct VhostDeviceNotificationTests {
    @Test(
        "While the port is served the driver need not kick; armed, one kick wakes",
        arguments: ringKinds)
    func kicks(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        lab.port.disarm()
        for _ in 0..<3 {
            #expect(!lab.isPollReadable)
            _ = lab.guest.send(testFrame(60))
            #expect(!lab.guest.publish(), "the device is looking already")
            #expect(!lab.port.arm(), "something waits")
            #expect(lab.guest.transmitQueue.isKickSuppressed)
            #expect(lab.receive().count == 1)
            #expect(lab.port.arm())
            #expect(!lab.guest.transmitQueue.isKickSuppressed)
            _ = lab.guest.send(testFrame(60))
            #expect(lab.guest.publish())
            var one: UInt64 = 1
            _ = write(lab.kick, &one, 8)
            #expect(lab.isPollReadable)
            lab.port.disarm()
            #expect(!lab.isPollReadable)
            #expect(lab.receive().count == 1)
            lab.guest.reclaim()
        }
    }

    @Test("With an event index only the first of several publications kicks")
    func eventIndex() throws {
        for isPacked in [false, true] {
            var options = VirtioFrontEnd.Options()
            options.isPacked = isPacked
            options.queueSize = 4
            let lab = try VhostDeviceLab(options)
            for _ in 0..<20 {
                #expect(lab.port.arm())
                _ = lab.guest.send(testFrame(60))
                #expect(lab.guest.publish())
                _ = lab.guest.send(testFrame(60))
                #expect(!lab.guest.publish())
                lab.port.disarm()
                #expect(lab.receive().count == 2)
                #expect(lab.guest.reclaim().count == 2)
            }
        }
    }

    @Test("A ring without a kick is never left alone")
    func polled() throws {
        let lab = try VhostDeviceLab()
        #expect(lab.port.arm())
        lab.port.setKick(1, -1)
        #expect(!lab.port.arm())
        // By a queue that is transmitted to nothing comes.
        lab.port.setKick(1, lab.kick)
        lab.port.setKick(0, -1)
        #expect(lab.port.arm())
    }

    @Test("The driver is told once for what a call moved, if it wants to be", arguments: ringKinds)
    func calls(options: VirtioFrontEnd.Options) throws {
        let lab = try VhostDeviceLab(options)
        lab.guest.post(100)
        #expect(lab.guest.receiveQueue.enableCalls())
        let three = (0..<3).map { _ in VhostDeviceLab.Entry(bytes: testFrame(60)) }
        #expect(lab.transmit(three) == [.none, .none, .none])
        #expect(VhostDeviceLab.count(lab.receiveCall) == 1)
        lab.guest.receiveQueue.disableCalls()
        #expect(lab.transmit(three) == [.none, .none, .none])
        #expect(VhostDeviceLab.count(lab.receiveCall) == 0)
        #expect(!lab.guest.receiveQueue.enableCalls(), "there is something already")
        #expect(lab.guest.receive().count == 6)
        #expect(lab.guest.receiveQueue.enableCalls())
        #expect(lab.transmit(three) == [.none, .none, .none])
        #expect(VhostDeviceLab.count(lab.receiveCall) == 1)
        // The same for what is returned.
        #expect(lab.guest.transmitQueue.enableCalls())
        for _ in 0..<3 { _ = lab.guest.send(testFrame(60)) }
        lab.guest.publish()
        #expect(lab.receive().count == 3)
        #expect(VhostDeviceLab.count(lab.transmitCall) == 1)
        #expect(lab.guest.reclaim().count == 3)
        lab.guest.transmitQueue.disableCalls()
        _ = lab.guest.send(testFrame(60))
        lab.guest.publish()
        #expect(lab.receive().count == 1)
        #expect(VhostDeviceLab.count(lab.transmitCall) == 0)
        #expect(lab.receive().isEmpty)
        #expect(VhostDeviceLab.count(lab.transmitCall) == 0)
    }

    @Test("Calls come when and only when the event index is passed, over many wraps")
    func callsByEventIndex() throws {
        for isPacked in [false, true] {
            var options = VirtioFrontEnd.Options()
            options.isPacked = isPacked
            options.queueSize = 8
            options.start = 65_500
            let lab = try VhostDeviceLab(options)
            lab.guest.post()
            var random = SeededRandom(seed: 5)
            _ = VhostDeviceLab.count(lab.receiveCall)
            // The first question is always answered with a call: nothing is known of before.
            _ = lab.transmit(testFrame(60))
            _ = lab.guest.receive()
            _ = VhostDeviceLab.count(lab.receiveCall)
            for _ in 0..<500 {
                let isWanted = Bool.random(using: &random)
                if isWanted {
                    #expect(lab.guest.receiveQueue.enableCalls())
                } else {
                    lab.guest.receiveQueue.disableCalls()
                }
                let count = Int.random(in: 1...7, using: &random)
                for place in 0..<count {
                    #expect(lab.transmit(testFrame(60)) == .none)
                    let expected: UInt64 = isWanted && place == 0 ? 1 : 0
                    // A driver that stays behind has been told; without an index it is told again.
                    #expect(VhostDeviceLab.count(lab.receiveCall) == expected)
                }
                #expect(lab.guest.receive().count == count)
            }
        }
    }

    @Test("A start, an announcement and a new kick wake the worker")
    func wakes() throws {
        let lab = try VhostDeviceLab(isStarted: false)
        lab.port.disarm()
        #expect(!lab.isPollReadable)
        try lab.start()
        #expect(lab.isPollReadable)
        lab.port.disarm()
        #expect(!lab.isPollReadable)
        lab.port.announce(MACAddress(rawValue: 0x0200_0000_0077))
        #expect(lab.isPollReadable)
        #expect(!lab.port.arm())
        lab.port.disarm()
        let frames = lab.receive()
        #expect(frames.count == 1)
        let expected: [UInt8] =
            [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0x77, 0x80, 0x35]
            + [0, 1, 8, 0, 6, 4, 0, 3]
            + [2, 0, 0, 0, 0, 0x77, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0x77, 0, 0, 0, 0]
        #expect(frames[0].bytes == expected + [UInt8](repeating: 0, count: 60 - expected.count))
        #expect(lab.receive().isEmpty)
        #expect(lab.port.arm())
    }

    @Test("What the driver kicked before the ring was started is found")
    func earlyKick() throws {
        let lab = try VhostDeviceLab(isStarted: false)
        lab.port.disarm()
        _ = lab.guest.send(testFrame(60))
        lab.guest.publish()
        var one: UInt64 = 1
        _ = write(lab.kick, &one, 8)
        try lab.start()
        #expect(lab.isPollReadable)
        #expect(!lab.port.arm())
        #expect(lab.receive().count == 1)
    }

    @Test("A pipe in place of an eventfd is emptied")
    func pipeKick() throws {
        let lab = try VhostDeviceLab()
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        lab.port.setKick(1, ends[0])
        lab.port.disarm()
        var one: UInt64 = 1
        for _ in 0..<20_000 {
            #expect(write(ends[1], &one, 8) == 8)
            #expect(lab.isPollReadable)
            lab.port.disarm()
        }
        lab.port.setKick(1, -1)
        for end in ends { close(end) }
    }
}
