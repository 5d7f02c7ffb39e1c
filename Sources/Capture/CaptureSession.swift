// A capture session: records in, pcapng blocks out, and an account of every record.
//
// The session is a value without threads, clocks or descriptors. Its owner (the capture thread)
// feeds it the records that the workers' rings deliver, and writes the bytes it appends:
//
//     begin   section block, one interface block per point, names of the points' MAC addresses
//     record  per record: nothing, or one packet block        add  a port that came later
//     finish  one statistics block per interface
//
// A record ends in exactly one way, and per interface seen = filtered + written. The order of the
// tests is: is the session over, is the port a point of it, does the filter match (the filter sees
// all bytes that the record has, before the snap length cuts them), write.
//
// Stamps are monotonic in records and wall time in blocks; the offset between them is fixed when
// the session begins, so a stepped clock does not tear a capture. Cost per written frame: one copy.

/// Turns the records of one capture into pcapng blocks.
package struct CaptureSession: Sendable {
    /// What to keep, and for how long.
    package struct Configuration: Sendable {
        package var filter: CaptureFilter
        /// What the file is to say of a filter that was applied before.
        package var expression: String?
        /// The most bytes kept of a frame; 0 means all that the format allows.
        package var snapLength: UInt32
        /// The session is over once it has written this many frames.
        package var maximumFrameCount: UInt64?
        /// The session is over this many ns after its beginning.
        package var maximumDurationNanoseconds: UInt64?

        package init(
            filter: CaptureFilter, expression: String? = nil, snapLength: UInt32 = 0,
            maximumFrameCount: UInt64? = nil,
            maximumDurationNanoseconds: UInt64? = nil
        ) {
            self.filter = filter
            self.expression = expression
            self.snapLength = snapLength
            self.maximumFrameCount = maximumFrameCount
            self.maximumDurationNanoseconds = maximumDurationNanoseconds
        }
    }

    /// The moment a session begins, on both clocks, in ns.
    package struct Clock: Sendable {
        package var monotonicNanoseconds: UInt64
        package var wallNanoseconds: UInt64

        package init(monotonicNanoseconds: UInt64, wallNanoseconds: UInt64) {
            self.monotonicNanoseconds = monotonicNanoseconds
            self.wallNanoseconds = wallNanoseconds
        }
    }

    /// How a record ended.
    package enum Outcome: Equatable, Sendable {
        case written
        /// The filter did not match.
        case filtered
        /// The port is not a point of this session, perhaps no longer or not yet.
        case unknownPort
        /// The session is over: a limit is reached or it was finished.
        case over
    }

    /// The account of one interface.
    package struct Counts: Equatable, Sendable {
        package var seen: UInt64 = 0
        package var filtered: UInt64 = 0
        package var written: UInt64 = 0
    }

    private struct Interface {
        var portIndex: UInt16
        var name: String
        var counts = Counts()
    }

    private let configuration: Configuration
    private let section: PcapngSection
    private let start: Clock
    private let snapLength: Int
    private var points: [CapturePoint]
    private var interfaces: [Interface] = []
    /// The interface ID of each port index, or `noInterface`.
    private var interfaceOfPort: [UInt32] = []
    private static let noInterface = UInt32.max
    private var hasBegun = false
    private var isFinished = false

    /// Frames written so far, at all interfaces.
    package private(set) var writtenCount: UInt64 = 0
    /// Records of ports that are no point of this session.
    package private(set) var unknownPortCount: UInt64 = 0

    package init(
        configuration: Configuration, section: PcapngSection, points: [CapturePoint], start: Clock
    ) {
        self.configuration = configuration
        self.section = section
        self.points = points
        self.start = start
        let longest = PcapngWriter.maximumFrameByteCount
        let asked = Int(configuration.snapLength)
        snapLength = asked == 0 ? longest : min(asked, longest)
    }

    /// Appends the section, the interfaces of the points and their names. Called once, first.
    package mutating func begin(into output: inout [UInt8]) {
        precondition(!hasBegun, "a capture session begins once")
        hasBegun = true
        PcapngWriter.append(section, to: &output)
        for point in points { addInterface(point, into: &output) }
        PcapngWriter.append(points.compactMap(Self.name), to: &output)
        points = []
    }

    /// Appends names that addresses are known by.
    package func append(_ names: [PcapngName], into output: inout [UInt8]) {
        PcapngWriter.append(names, to: &output)
    }

    /// Whether a port is a point of the session.
    package func contains(_ portIndex: UInt16) -> Bool { interfaceID(ofPort: portIndex) != nil }

    /// Appends the interface of a port that came after the beginning. A port index that is a point
    /// already means a new port from here on: the earlier interface keeps its frames and counts.
    package mutating func add(_ point: CapturePoint, into output: inout [UInt8]) {
        precondition(hasBegun, "a capture session must begin before a port is added")
        guard !isFinished else { return }
        addInterface(point, into: &output)
        PcapngWriter.append([point].compactMap(Self.name), to: &output)
    }

    /// Appends the block of a record that is to be kept, and counts the record.
    package mutating func record(
        _ record: CaptureRecord, into output: inout [UInt8]
    ) -> Outcome {
        precondition(hasBegun, "a capture session must begin before its first record")
        guard !isOver(atMonotonicNanoseconds: record.timestampNanoseconds) else { return .over }
        guard let interfaceID = interfaceID(ofPort: record.portIndex) else {
            unknownPortCount += 1
            return .unknownPort
        }
        interfaces[Int(interfaceID)].counts.seen += 1
        let originalByteCount = max(record.originalByteCount, UInt32(clamping: record.bytes.count))
        guard configuration.filter.matches(record.bytes, originalByteCount: originalByteCount)
        else {
            interfaces[Int(interfaceID)].counts.filtered += 1
            return .filtered
        }
        let packet = PcapngPacket(
            interfaceID: interfaceID,
            timestampNanoseconds: wallNanoseconds(record.timestampNanoseconds),
            originalByteCount: originalByteCount, packetID: record.packetID,
            remarks: record.remarks)
        let kept = UnsafeRawBufferPointer(
            start: record.bytes.baseAddress, count: min(record.bytes.count, snapLength))
        PcapngWriter.append(packet, bytes: kept, to: &output)
        interfaces[Int(interfaceID)].counts.written += 1
        writtenCount += 1
        return .written
    }

    /// Whether nothing more will be written at this time or later.
    package func isOver(atMonotonicNanoseconds now: UInt64) -> Bool {
        if isFinished { return true }
        if let limit = configuration.maximumFrameCount, writtenCount >= limit { return true }
        guard let limit = configuration.maximumDurationNanoseconds else { return false }
        // A record may have been stamped just before the session began: that is not over.
        return now >= start.monotonicNanoseconds && now - start.monotonicNanoseconds >= limit
    }

    /// Appends each interface's statistics and ends the session. A second call appends nothing.
    ///
    /// - Parameters:
    ///   - ringDrops: by port index, the records of that port that found their ring full and never
    ///     came here; they count as received and dropped. Of two interfaces with one port index, the
    ///     later has them.
    ///   - rejected: by port index, frames that a filter kept from coming here; they count as
    ///     received.
    package mutating func finish(
        atMonotonicNanoseconds now: UInt64, ringDrops: [UInt16: UInt64] = [:],
        rejected: [UInt16: UInt64] = [:], into output: inout [UInt8]
    ) {
        guard hasBegun, !isFinished else { return }
        isFinished = true
        let end = wallNanoseconds(now)
        for (index, interface) in interfaces.enumerated() {
            let isCurrent = interfaceID(ofPort: interface.portIndex) == UInt32(index)
            let dropped = isCurrent ? ringDrops[interface.portIndex] ?? 0 : 0
            let counts = interface.counts
            let unwanted = isCurrent ? rejected[interface.portIndex] ?? 0 : 0
            let statistics = PcapngStatistics(
                interfaceID: UInt32(index), timestampNanoseconds: end,
                startNanoseconds: start.wallNanoseconds, endNanoseconds: end,
                received: counts.seen &+ dropped &+ unwanted, dropped: dropped,
                accepted: counts.seen - counts.filtered, delivered: counts.written)
            PcapngWriter.append(statistics, to: &output)
        }
    }

    /// The account of each interface by name, in the order of interface IDs.
    package var counts: [(name: String, counts: Counts)] {
        interfaces.map { ($0.name, $0.counts) }
    }

    private mutating func addInterface(_ point: CapturePoint, into output: inout [UInt8]) {
        let index = Int(point.portIndex)
        if index >= interfaceOfPort.count {
            interfaceOfPort += Array(
                repeating: Self.noInterface, count: index + 1 - interfaceOfPort.count)
        }
        interfaceOfPort[index] = UInt32(interfaces.count)
        interfaces.append(Interface(portIndex: point.portIndex, name: point.name))
        let expression = configuration.expression ?? configuration.filter.expression
        let block = PcapngInterface(
            name: point.name, description: point.description, macAddress: point.macAddress,
            speed: point.speed, snapLength: UInt32(snapLength),
            filter: expression.isEmpty ? nil : expression, linkType: point.linkType)
        PcapngWriter.append(block, to: &output)
    }

    private func interfaceID(ofPort index: UInt16) -> UInt32? {
        guard Int(index) < interfaceOfPort.count else { return nil }
        let interfaceID = interfaceOfPort[Int(index)]
        return interfaceID == Self.noInterface ? nil : interfaceID
    }

    /// Wrapping on purpose: the difference is right for stamps before the beginning too, and no
    /// stamp, however wrong, may stop a capture.
    private func wallNanoseconds(_ monotonic: UInt64) -> UInt64 {
        start.wallNanoseconds &+ (monotonic &- start.monotonicNanoseconds)
    }

    private static func name(_ point: CapturePoint) -> PcapngName? {
        point.macAddress.map { PcapngName(.mac($0), names: [point.name]) }
    }
}
