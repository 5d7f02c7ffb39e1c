/// What holds for the switch as a whole.
package struct SwitchSpec: Hashable, Sendable {
    /// IEEE 802.1Q-2018 table 8-6 recommends 300 s and allows 10 to 1,000,000; shorter times are
    /// accepted because a lab wants to watch an entry age.
    package static let ageingSecondsRange = 1...1_000_000
    package static let fdbLimitRange = 1...1_048_576
    package static let loopHoldSecondsRange = 1...86_400
    package static let loopProbeSecondsRange = 1...3_600

    /// Seconds after which a dynamic FDB entry that was not seen again is forgotten.
    package var ageingSeconds: Int
    /// FDB entries of the whole switch.
    package var fdbLimit: Int
    /// Dynamic FDB entries of one port that sets no limit of its own.
    package var portFDBLimit: Int
    /// Seconds for which a port of a loop is taken down; nil to tell of the loop only.
    package var loopHoldSeconds: Int?
    /// Seconds from one look for loops to the next; nil to look when ports come up, and when
    /// addresses move as if there were one.
    package var loopProbeSeconds: Int?
    /// Whether the last seconds of traffic are kept.
    package var recorder: Bool
    /// What an sFlow collector is told; nil tells nobody.
    package var sflow: SFlowSpec?

    package init(
        ageingSeconds: Int = 300, fdbLimit: Int = 65_536, portFDBLimit: Int = 8_192,
        loopHoldSeconds: Int? = nil, loopProbeSeconds: Int? = nil, recorder: Bool = true,
        sflow: SFlowSpec? = nil
    ) {
        self.ageingSeconds = ageingSeconds
        self.fdbLimit = fdbLimit
        self.portFDBLimit = portFDBLimit
        self.loopHoldSeconds = loopHoldSeconds
        self.loopProbeSeconds = loopProbeSeconds
        self.recorder = recorder
        self.sflow = sflow
    }
}
