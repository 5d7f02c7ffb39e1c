import Foundation
import Testing

@testable import Dataplane

/// Two workers over one FDB on threads of their own, fed from two more.
@Suite("Two workers share one switch", .serialized)
struct TwoWorkerTests {
    /// Runs a worker over its ports until told to stop.
    final class Runner: @unchecked Sendable {
        private let thread: Thread
        private let finished = DispatchSemaphore(value: 0)
        private let flag = Flag()

        final class Flag: @unchecked Sendable {
            private let lock = NSLock()
            private var value = false
            var isSet: Bool { lock.withLock { value } }
            func set() { lock.withLock { value = true } }
        }

        init(fabric: Fabric, index: Int, ports: [UInt16]) {
            let flag = flag
            let finished = finished
            thread = Thread {
                var worker = Worker(fabric: fabric, index: index)
                while !flag.isSet {
                    for _ in 0..<100 {
                        _ = worker.beginRound(time: DispatchTime.now().uptimeNanoseconds)
                        for port in ports where worker.owns(port) { _ = worker.serve(port: port) }
                        _ = worker.endRound()
                    }
                }
                finished.signal()
            }
            thread.start()
        }

        func stop() {
            flag.set()
            finished.wait()
        }
    }

    static func mark(_ bytes: [UInt8]) -> UInt32 {
        bytes[14..<18].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }

    @Test("a flow that crosses workers keeps its order and loses nothing that the rings can hold")
    func order() {
        let fabric = Fabric(
            workers: 2, portCapacity: 16, domainCapacity: 4, fdbCapacity: 4096, seed: 3)
        let ports = (0..<4).map { _ in MemoryPort(depth: 128) }
        _ = fabric.publish(
            DataplaneConfiguration(
                domains: [DomainConfiguration(number: 1, vid: 10)],
                ports: ports.indices.map {
                    PortConfiguration(
                        number: UInt16($0), membership: .access(domain: 1), worker: $0 % 2,
                        port: ports[$0])
                }))
        let runners = (0..<2).map { Runner(fabric: fabric, index: $0, ports: [0, 1, 2, 3]) }

        // Everybody says hello, until both directions are learned.
        func settle() {
            for _ in 0..<50 {
                for index in ports.indices {
                    _ = ports[index].put(frame(to: broadcast, from: host(UInt64(index))))
                }
                Thread.sleep(forTimeInterval: 0.01)
                for port in ports { while port.take() != nil {} }
                if fabric.fdb.learnedCount == 4 { return }
            }
        }
        settle()
        #expect(fabric.fdb.learnedCount == 4)
        Thread.sleep(forTimeInterval: 0.05)
        for port in ports { while port.take() != nil {} }

        // 0 → 1 and 2 → 3 cross from worker 0 to worker 1; never more in flight than a ring holds.
        let total: UInt32 = 20_000
        var sent: [UInt32] = [0, 0]
        var received: [UInt32] = [0, 0]
        var isInOrder = true
        let deadline = Date().addingTimeInterval(60)
        while received != [total, total], Date() < deadline {
            for flow in 0..<2 {
                while sent[flow] < total, sent[flow] - received[flow] < 100,
                    ports[flow * 2].put(
                        frame(
                            to: host(UInt64(flow * 2 + 1)), from: host(UInt64(flow * 2)),
                            mark: sent[flow]))
                { sent[flow] += 1 }
                while let (bytes, _) = ports[flow * 2 + 1].take() {
                    isInOrder = isInOrder && Self.mark(bytes) == received[flow]
                    received[flow] += 1
                }
            }
        }
        for runner in runners { runner.stop() }
        #expect(received == [total, total])
        #expect(isInOrder)
        ConservationTests.check(fabric, ports: 4)
        #expect(fabric.links[1].counters.value(.transmitted, port: 1) >= UInt64(total))
    }

    @Test("a frame on its way between workers does not follow its port into another network")
    func handoffAcrossReconfiguration() {
        let fabric = Fabric(
            workers: 2, portCapacity: 8, domainCapacity: 4, fdbCapacity: 64, seed: 3)
        let ports = (0..<2).map { _ in MemoryPort() }
        func publish(second: PortConfiguration.Membership, isUp: Bool = true) {
            _ = fabric.publish(
                DataplaneConfiguration(
                    domains: [
                        DomainConfiguration(number: 1, vid: 10),
                        DomainConfiguration(number: 2, vid: 20),
                    ],
                    ports: [
                        PortConfiguration(
                            number: 0, membership: .access(domain: 1), port: ports[0]),
                        PortConfiguration(
                            number: 1, membership: second, isUp: isUp, worker: 1, port: ports[1]),
                    ]))
        }
        publish(second: .access(domain: 1))
        var first = Worker(fabric: fabric, index: 0)
        var second = Worker(fabric: fabric, index: 1)
        func cross(_ change: () -> Void) -> [UInt8]? {
            _ = ports[0].put(frame(to: broadcast, from: host(1)))
            _ = first.beginRound(time: 1_000_000_000)
            _ = first.serve(port: 0)
            change()
            _ = second.beginRound(time: 1_000_000_000)
            _ = second.endRound()
            return ports[1].take()?.frame
        }
        #expect(cross {} == frame(to: broadcast, from: host(1)))
        #expect(cross { publish(second: .access(domain: 2)) } == nil)
        publish(second: .access(domain: 1))
        #expect(cross { publish(second: .access(domain: 1), isUp: false) } == nil)
        publish(second: .access(domain: 1))
        // Still a member, but by another tag.
        #expect(
            cross { publish(second: .trunk(domains: [1], native: nil)) }
                == frame(to: broadcast, from: host(1), tag: 10))
        #expect(fabric.value(.egressDown, port: 1) == 2)
        ConservationTests.check(fabric, ports: 2)
        first.recycleSlots()
        #expect(first.pool.available + first.burst.limit == first.pool.capacity)
    }

    @Test("readers stay right while the owner learns, evicts and flushes as fast as it can")
    func contention() {
        let fdb = FDB(maximumEntries: 512, portCapacity: 8, seed: 9)
        // Even hosts live behind port 1, odd ones behind port 2, static ones behind port 3.
        for number in 0..<8 {
            _ = fdb.addStatic(
                FDBKey(domain: 1, address: host(UInt64(1_000_000 + number))), port: 3, now: 0)
        }
        let flag = Runner.Flag()
        let wrong = Runner.Flag()
        let missing = Runner.Flag()
        let done = DispatchSemaphore(value: 0)
        for seed in 0..<2 {
            Thread {
                var random = SeededGenerator(seed: UInt64(seed))
                while !flag.isSet {
                    for _ in 0..<1000 {
                        let number = UInt64.random(in: 0..<4096, using: &random)
                        let found = fdb.lookup(
                            FDBKey(domain: 1, address: host(number)), now: 1, isOwner: false)
                        if let found, found.port != 1 + UInt16(number & 1) { wrong.set() }
                        let fixed = fdb.lookup(
                            FDBKey(domain: 1, address: host(1_000_000 + number % 8)), now: 1,
                            isOwner: false)
                        if fixed?.port != 3 { missing.set() }
                    }
                }
                done.signal()
            }.start()
        }
        var random = SeededGenerator(seed: 77)
        let deadline = Date().addingTimeInterval(2)
        var steps = 0
        while Date() < deadline {
            for _ in 0..<500 {
                let number = UInt64.random(in: 0..<4096, using: &random)
                let key = FDBKey(domain: 1, address: host(number))
                if steps % 7 == 0 {
                    _ = fdb.delete(key)
                } else {
                    fdb.learn(key, port: 1 + UInt16(number & 1), sticky: false, now: 1)
                }
                steps += 1
            }
        }
        flag.set()
        done.wait()
        done.wait()
        #expect(steps > 1000)
        #expect(!wrong.isSet, "a reader got another address's port")
        #expect(!missing.isSet, "a reader did not find an entry that never changed")
    }
}
