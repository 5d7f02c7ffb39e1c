/// What a replay through a candidate topology found.
package struct WhatIfResult: Sendable, Equatable {
    /// Where the fates come from that the candidate's are compared with.
    package enum Baseline: String, Sendable {
        /// Another topology.
        case topology
        /// The capture's own comments.
        case capture
        /// Nothing says what became of the frames.
        case none
    }

    /// Frames of one port with one fate under the candidate.
    package struct Count: Sendable, Equatable {
        package var port: String
        package var fate: Fate
        package var frames: UInt64
    }

    /// Frames of one port that would end otherwise.
    package struct Change: Sendable, Equatable {
        package var port: String
        package var was: Fate
        package var wouldBe: Fate
        package var frames: UInt64
        /// Number of the first such frame in the file.
        package var firstFrame: UInt64
    }

    /// Frames that were not replayed, by the name of their interface.
    package struct Skipped: Sendable, Equatable {
        package var interface: String
        package var frames: UInt64
    }

    package var baseline = Baseline.none
    /// Frames in the file.
    package var frames: UInt64 = 0
    package var replayed: UInt64 = 0
    /// Of those replayed, the ones with something to compare with.
    package var compared: UInt64 = 0
    /// Seen as they left, not as they came.
    package var outbound: UInt64 = 0
    /// In the file once more at the interface that they came by.
    package var repeated: UInt64 = 0
    /// Cut so short that their headers are missing.
    package var tooShort: UInt64 = 0
    /// Taken for super-frames, whose segments fit every MTU.
    package var superFrames: UInt64 = 0
    /// Frames to addresses that the capture does not locate, so that a fate which depended on it
    /// cannot be compared.
    package var unlocated: UInt64 = 0
    /// Interfaces that name no port.
    package var unknownInterfaces: [Skipped] = []
    /// Tunnels of several networks.
    package var ambiguousInterfaces: [Skipped] = []
    /// Under the candidate, most frames first.
    package var fates: [Count] = []
    /// Most frames first.
    package var changes: [Change] = []
    /// Of a file that ends too early.
    package var cutOff: String?
}
