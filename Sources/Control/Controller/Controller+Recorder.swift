import ControlAPI
import Dataplane
import Foundation
import Ports

/// What has passed: the flight recorder, and what events froze of it.
extension Controller {
    /// The frames that a request for the past means, oldest first.
    func past(_ request: CaptureRequest) throws(CapturePlan.Refusal) -> [RecordedFrame] {
        if let number = request.recording {
            // One that is being made is about to be there.
            freezing.sync {}
            let shelf = recordings.withLock { $0.recordings }
            guard let recording = shelf.first(where: { $0.number == number }) else {
                throw CapturePlan.Refusal(
                    sentence: "there is no recording \(number); "
                        + (shelf.isEmpty
                            ? "no event has made one yet"
                            : "there are: "
                                + shelf.map { "\($0.number) (\($0.cause))" }
                                .joined(separator: ", ")))
            }
            return recording.frames
        }
        let seconds = request.since ?? 0
        guard recordings.withLock({ $0.recorder }) != nil else {
            throw CapturePlan.Refusal(
                sentence: "the flight recorder is off: remove 'recorder: false' under 'switch:'")
        }
        return recordedFrames(seconds: seconds)
    }

    /// What the last seconds left behind: received frames from the recorder, and what ended at egress
    /// from the drop ledgers.
    ///
    /// - Parameter limit: the newest received frames of each worker at most.
    private func recordedFrames(seconds: Double, limit: Int = .max) -> [RecordedFrame] {
        let now = WorkerThread.monotonicNanoseconds()
        let span = UInt64(min(max(seconds, 0), 86_400) * 1e9)
        let start = now > span ? now - span : 0
        var frames = recordings.withLock { $0.recorder }?.frames(since: start, limit: limit) ?? []
        let numbers = model.withLock { $0.countedNames.map(\.number) }
        for link in fabric.links {
            for number in numbers {
                for reason in DropReason.allCases where reason.isEgress {
                    guard link.drops.times(reason, port: number) != nil else { continue }
                    for (record, bytes) in link.drops.frames(reason, port: number)
                    where record.time >= start {
                        frames.append(RecordedFrame(record: record, bytes: bytes))
                    }
                }
            }
        }
        frames.sort { $0.record.time < $1.record.time }
        return frames
    }

    /// Events that somebody will want to know the frames of.
    private static let frozenKinds: Set<EventKind> = [
        .portDown, .tunnelDown, .rollback, .macMove, .macStorm, .loop, .duplicateAddress,
        .dropSpike,
    ]

    /// Has events of a suspicious kind keep a copy of the last seconds, which
    /// 'heddle capture --recording' shows by its number.
    func freezeRecordings() {
        journal.setFreezer { [weak self] event in
            guard let self, Controller.frozenKinds.contains(event.kind),
                let (number, isNew) = recordings.withLock({
                    $0.reserve(event.sentence, at: Date())
                })
            else { return nil }
            if isNew {
                // Whoever tells may hold what copying needs.
                freezing.async { [weak self] in
                    guard let self else { return }
                    let frames = recordedFrames(
                        seconds: RecordingShelf.seconds, limit: RecordingShelf.frameLimit)
                    recordings.withLock { $0.put(frames, into: number) }
                }
            }
            return number
        }
    }
}
