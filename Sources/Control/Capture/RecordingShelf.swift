import Dataplane
import Foundation

/// The flight recorder, and the copies of it that events froze.
struct RecordingShelf {
    /// A frozen copy: the seconds before an event.
    struct Recording: Sendable {
        /// Counts from 1 and is not used again.
        var number: Int
        var time: Date
        /// The event, as a sentence.
        var cause: String
        /// In order of time.
        var frames: [RecordedFrame]
    }

    /// Copies that are kept; the oldest goes first.
    static let limit = 8
    /// Frames in each: the newest ones.
    static let frameLimit = 8192
    /// Seconds of each.
    static let seconds = 10.0
    /// One event is often followed by others that tell of the same: as long as this they freeze
    /// nothing more.
    private static let pause: TimeInterval = 5

    private(set) var recorder: FlightRecorder?
    private(set) var recordings: [Recording] = []
    private var nextNumber = 1

    /// The recorder if it is to run. One that is switched off takes what it held with it.
    mutating func recorder(isOn: Bool, workers: Int) -> FlightRecorder? {
        if !isOn {
            recorder = nil
        } else if recorder == nil {
            recorder = FlightRecorder(workers: workers)
        }
        return recorder
    }

    /// The number of the recording that tells of an event of this moment: a new one, or one that was
    /// made a moment ago. Nil when nothing is recorded.
    mutating func freeze(
        _ cause: String, at time: Date, frames: () -> [RecordedFrame]
    ) -> Int? {
        guard recorder != nil else { return nil }
        if let last = recordings.last, time.timeIntervalSince(last.time) < RecordingShelf.pause {
            return last.number
        }
        let recording = Recording(
            number: nextNumber, time: time, cause: cause,
            frames: Array(frames().suffix(RecordingShelf.frameLimit)))
        nextNumber += 1
        recordings.append(recording)
        if recordings.count > RecordingShelf.limit { recordings.removeFirst() }
        return recording.number
    }
}
