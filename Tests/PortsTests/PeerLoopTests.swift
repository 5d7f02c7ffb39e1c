import CLinux
import Foundation
import Synchronization
import Testing

@testable import Ports

@Suite("The loop that serves ports' peers")
struct PeerLoopTests {
    /// What happened, in order, seen from any thread.
    private final class Log: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }

        func wait(_ isEnough: ([String]) -> Bool) {
            let deadline = Date(timeIntervalSinceNow: 5)
            while !isEnough(all), Date() < deadline { usleep(1000) }
            #expect(isEnough(all), "\(all)")
        }
    }

    private func withLoop(_ body: (PeerLoop, Log) throws -> Void) throws {
        let loop = try PeerLoop()
        try loop.start()
        defer { loop.stop() }
        try body(loop, Log())
    }

    private func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(Glibc.pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    @Test("runs what it is asked to on one thread, in order")
    func jobs() throws {
        try withLoop { loop, log in
            let thread = Mutex<pthread_t?>(nil)
            for number in 0..<100 {
                loop.run {
                    let isSame = thread.withLock { thread in
                        if thread == nil { thread = pthread_self() }
                        return thread == pthread_self()
                    }
                    log.add(isSame ? "\(number)" : "elsewhere")
                    // What a job asks for comes after those that were asked for before.
                    if number == 0 { loop.run { log.add("last") } }
                }
            }
            log.wait { $0.count == 101 }
            #expect(log.all.filter { $0 != "last" } == (0..<100).map { "\($0)" })
        }
    }

    @Test(
        "calls the handler of a descriptor as long as it is readable, and not once it is unwatched")
    func watching() throws {
        try withLoop { loop, log in
            let (reading, writing) = try pipe()
            defer {
                close(reading)
                close(writing)
            }
            loop.watch(reading, EPOLLIN.rawValue) { events in
                #expect(events & EPOLLIN.rawValue != 0)
                log.add("readable")
                if log.all.count == 3 { loop.unwatch(reading) }
            }
            #expect(log.all == [])
            write(writing, "x", 1)
            log.wait { $0.count == 3 }
            usleep(20_000)
            #expect(log.all.count == 3)
            // And again with another handler.
            loop.watch(reading, EPOLLIN.rawValue) { _ in
                log.add("another")
                var byte: UInt8 = 0
                read(reading, &byte, 1)
            }
            log.wait { $0.last == "another" }
            // A handler that takes the place of another one.
            loop.watch(reading, EPOLLIN.rawValue) { _ in
                loop.unwatch(reading)
                log.add("third")
            }
            write(writing, "x", 1)
            log.wait { $0.last == "third" }
        }
    }

    @Test("does not take a descriptor's number for the one that had it before")
    func reuse() throws {
        try withLoop { loop, log in
            let first = try pipe()
            let second = try pipe()
            defer { close(second.writing) }
            write(first.writing, "x", 1)
            write(second.writing, "x", 1)
            // Whichever is called first closes both, and opens another in their place that has
            // nothing to read.
            let third = Mutex<[Int32]>([])
            for (own, other) in [(first.reading, second.reading), (second.reading, first.reading)] {
                loop.watch(own, EPOLLIN.rawValue) { _ in
                    log.add("called")
                    loop.unwatch(own)
                    loop.unwatch(other)
                    close(own)
                    close(other)
                    var ends: [Int32] = [0, 0]
                    Glibc.pipe(&ends)
                    third.withLock { $0 = ends }
                    loop.watch(ends[0], EPOLLIN.rawValue) { _ in log.add("wrong") }
                }
            }
            log.wait { !$0.isEmpty }
            usleep(20_000)
            #expect(log.all == ["called"])
            for end in third.withLock({ $0 }) {
                loop.unwatch(end)
                close(end)
            }
            close(first.writing)
        }
    }

    @Test("watches a number again whose descriptor was closed unwatched")
    func forgotten() throws {
        try withLoop { loop, log in
            let first = try pipe()
            loop.watch(first.reading, EPOLLIN.rawValue) { _ in log.add("old") }
            close(first.reading)
            let second = try pipe()
            #expect(second.reading == first.reading, "the lowest number is given")
            loop.watch(second.reading, EPOLLIN.rawValue) { _ in
                log.add("new")
                loop.unwatch(second.reading)
            }
            write(second.writing, "x", 1)
            log.wait { $0 == ["new"] }
            for end in [first.writing, second.reading, second.writing] { close(end) }
        }
    }

    @Test("runs timers when they are due, the earlier first, unless they are cancelled")
    func timers() throws {
        try withLoop { loop, log in
            let start = Date()
            loop.after(milliseconds: 600) { log.add("600") }
            loop.after(milliseconds: 20) {
                log.add("20")
                loop.after(milliseconds: 10) { log.add("30") }
            }
            let cancelled = loop.after(milliseconds: 25) { log.add("cancelled") }
            loop.cancel(cancelled)
            log.wait { $0.count == 3 }
            #expect(log.all == ["20", "30", "600"])
            #expect(Date().timeIntervalSince(start) >= 0.6)
        }
    }

    @Test("does not run a timer that one due at the same time has cancelled")
    func cancelledByTheOther() throws {
        try withLoop { loop, log in
            let other = Mutex<UInt64>(0)
            loop.run {
                loop.after(milliseconds: 5) {
                    log.add("first")
                    loop.cancel(other.withLock { $0 })
                }
                other.withLock { $0 = loop.after(milliseconds: 5) { log.add("second") } }
                // Both are due when this is over.
                usleep(20_000)
            }
            log.wait { !$0.isEmpty }
            usleep(20_000)
            #expect(log.all == ["first"])
        }
    }

    @Test("sleeps while there is nothing to do")
    func idle() throws {
        try withLoop { loop, log in
            let (reading, writing) = try pipe()
            loop.watch(reading, EPOLLIN.rawValue) { _ in }
            loop.after(milliseconds: 100_000) {}
            let clock = Mutex<[Double]>([])
            func note() {
                loop.run {
                    var time = timespec()
                    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                    clock.withLock { $0.append(Double(time.tv_sec) + Double(time.tv_nsec) / 1e9) }
                    log.add("noted")
                }
            }
            note()
            usleep(200_000)
            note()
            log.wait { $0.count == 2 }
            let times = clock.withLock { $0 }
            #expect(times[1] - times[0] < 0.02)
            loop.unwatch(reading)
            close(reading)
            close(writing)
        }
    }

    @Test("takes requests from many threads at once")
    func threads() throws {
        try withLoop { loop, log in
            let count = Atomic<Int>(0)
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                for number in 0..<500 {
                    switch number % 3 {
                    case 0: loop.run { count.add(1, ordering: .relaxed) }
                    case 1: loop.after(milliseconds: 1) { count.add(1, ordering: .relaxed) }
                    default:
                        loop.cancel(loop.after(milliseconds: 50_000) { log.add("cancelled") })
                    }
                }
            }
            let deadline = Date(timeIntervalSinceNow: 5)
            let expected = 4 * (167 + 167)
            while count.load(ordering: .relaxed) < expected, Date() < deadline { usleep(1000) }
            #expect(count.load(ordering: .relaxed) == expected)
            #expect(log.all == [])
        }
    }
}
