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

    /// The number of the recording that tells of an event of this moment: one that was made a moment
    /// ago, or a new one, whose frames are then to be put in. Nil when nothing is recorded.
    mutating func reserve(_ cause: String, at time: Date) -> (number: Int, isNew: Bool)? {
        guard recorder != nil else { return nil }
        if let last = recordings.last, time.timeIntervalSince(last.time) < RecordingShelf.pause {
            return (last.number, false)
        }
        recordings.append(
            Recording(number: nextNumber, time: time, cause: cause, frames: []))
        nextNumber += 1
        if recordings.count > RecordingShelf.limit { recordings.removeFirst() }
        return (nextNumber - 1, true)
    }

    mutating func put(_ frames: [RecordedFrame], into number: Int) {
        guard let place = recordings.lastIndex(where: { $0.number == number }) else { return }
        recordings[place].frames = Array(frames.suffix(RecordingShelf.frameLimit))
    }
}
