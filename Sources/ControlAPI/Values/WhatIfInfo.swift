/// What `heddle trace --candidate` prints as JSON.
package struct WhatIfInfo: APIValue {
    package var file: String
    package var baseline: String
    package var frames: UInt64
    package var replayed: UInt64
    package var compared: UInt64
    package var outbound: UInt64
    package var repeated: UInt64
    package var tooShort: UInt64
    package var superFrames: UInt64
    package var unlocated: UInt64
    package var unknownInterfaces: [SkippedInterface]
    package var ambiguousInterfaces: [SkippedInterface]
    package var fates: [FateCount]
    package var changes: [FateChange]
    package var cutOff: String?

    package init(
        file: String, baseline: String, frames: UInt64, replayed: UInt64, compared: UInt64,
        outbound: UInt64, repeated: UInt64, tooShort: UInt64, superFrames: UInt64,
        unlocated: UInt64, unknownInterfaces: [SkippedInterface],
        ambiguousInterfaces: [SkippedInterface], fates: [FateCount], changes: [FateChange],
        cutOff: String? = nil
    ) {
        self.file = file
        self.baseline = baseline
        self.frames = frames
        self.replayed = replayed
        self.compared = compared
        self.outbound = outbound
        self.repeated = repeated
        self.tooShort = tooShort
        self.superFrames = superFrames
        self.unlocated = unlocated
        self.unknownInterfaces = unknownInterfaces
        self.ambiguousInterfaces = ambiguousInterfaces
        self.fates = fates
        self.changes = changes
        self.cutOff = cutOff
    }

    package enum CodingKeys: String, CodingKey {
        case file
        case baseline
        case frames
        case replayed
        case compared
        case outbound
        case repeated
        case tooShort = "too_short"
        case superFrames = "super_frames"
        case unlocated
        case unknownInterfaces = "unknown_interfaces"
        case ambiguousInterfaces = "ambiguous_interfaces"
        case fates
        case changes
        case cutOff = "cut_off"
    }

    package static let schema = APISchema(
        "WhatIfInfo", "Which frames of a capture would end otherwise under another topology.",
        [
            .init("file", .string, "The capture file."),
            .init(
                "baseline", .enumeration(["topology", "capture", "none"]),
                "What the candidate is compared with: a topology, the capture's own verdicts, or "
                    + "nothing."),
            .init("frames", .integer, "Frames in the file."),
            .init("replayed", .integer, "Frames that went through the candidate's switch."),
            .init("compared", .integer, "Of these, frames with something to compare with."),
            .init("outbound", .integer, "Frames seen as they left a port; not replayed."),
            .init("repeated", .integer, "Frames that the file has again; not replayed."),
            .init("too_short", .integer, "Frames cut inside their headers; not replayed."),
            .init(
                "super_frames", .integer,
                "Frames taken for super-frames, whose segments fit every MTU."),
            .init(
                "unlocated", .integer,
                "Frames whose fate rests on an address that the capture does not locate; not "
                    + "counted as changed."),
            .init(
                "unknown_interfaces", .array(.reference("SkippedInterface")),
                "Interfaces that name no port of the candidate."),
            .init(
                "ambiguous_interfaces", .array(.reference("SkippedInterface")),
                "Tunnels of several networks, whose frames do not say theirs."),
            .init(
                "fates", .array(.reference("FateCount")),
                "What becomes of the frames under the candidate, most frames first."),
            .init(
                "changes", .array(.reference("FateChange")),
                "What would end otherwise, most frames first."),
            .init(
                "cut_off", .string, optional: true,
                "Where the file ends that ends too early; absent otherwise."),
        ])
}

/// Frames of a capture that were not replayed.
package struct SkippedInterface: APIValue {
    package var interface: String
    package var frames: UInt64

    package init(interface: String, frames: UInt64) {
        self.interface = interface
        self.frames = frames
    }

    package enum CodingKeys: String, CodingKey {
        case interface
        case frames
    }

    package static let schema = APISchema(
        "SkippedInterface", "Frames of an interface that were not replayed.",
        [
            .init("interface", .string, "Name of the interface in the capture."),
            .init("frames", .integer, "Number of its frames."),
        ])
}

/// Frames of one port with one fate.
package struct FateCount: APIValue {
    package var port: String
    package var fate: String
    package var frames: UInt64

    package init(port: String, fate: String, frames: UInt64) {
        self.port = port
        self.fate = fate
        self.frames = frames
    }

    package enum CodingKeys: String, CodingKey {
        case port
        case fate
        case frames
    }

    package static let schema = APISchema(
        "FateCount", "How many frames of a port end in one way.",
        [
            .init("port", .string, "Port that the frames come by."),
            .init("fate", .string, "How they end, in words."),
            .init("frames", .integer, "Number of frames."),
        ])
}

/// Frames of one port that would end otherwise.
package struct FateChange: APIValue {
    package var port: String
    package var was: String
    package var wouldBe: String
    package var frames: UInt64
    package var firstFrame: UInt64
    package var reason: String?
    package var sentence: String?
    package var remedy: String?

    package init(
        port: String, was: String, wouldBe: String, frames: UInt64, firstFrame: UInt64,
        reason: String? = nil, sentence: String? = nil, remedy: String? = nil
    ) {
        self.port = port
        self.was = was
        self.wouldBe = wouldBe
        self.frames = frames
        self.firstFrame = firstFrame
        self.reason = reason
        self.sentence = sentence
        self.remedy = remedy
    }

    package enum CodingKeys: String, CodingKey {
        case port
        case was
        case wouldBe = "would_be"
        case frames
        case firstFrame = "first_frame"
        case reason
        case sentence
        case remedy
    }

    package static let schema = APISchema(
        "FateChange", "Frames of a port that would end otherwise.",
        [
            .init("port", .string, "Port that the frames come by."),
            .init("was", .string, "How they ended."),
            .init("would_be", .string, "How they would end under the candidate."),
            .init("frames", .integer, "Number of frames."),
            .init("first_frame", .integer, "Number of the first of them in the file, from 1."),
            .init("reason", .string, optional: true, "Reason why they would be dropped."),
            .init("sentence", .string, optional: true, "The reason in words."),
            .init("remedy", .string, optional: true, "What to do about it."),
        ])
}
