/// The captures' part of `StatsInfo`.
package struct CaptureStats: APIValue {
    package var running: Int
    package var lostFrames: UInt64

    package init(running: Int = 0, lostFrames: UInt64 = 0) {
        self.running = running
        self.lostFrames = lostFrames
    }

    package enum CodingKeys: String, CodingKey {
        case running
        case lostFrames = "lost_frames"
    }

    package static let schema = APISchema(
        "CaptureStats", "Captures in numbers.",
        [
            .init("running", .integer, "Captures that run now."),
            .init(
                "lost_frames", .integer,
                "Frames that captures missed since the start, because their readers were slow."),
        ])
}
