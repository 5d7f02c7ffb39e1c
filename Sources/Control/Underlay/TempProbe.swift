struct ProbeState: Sendable, Equatable {
    enum Condition { case unprobed, up, down }; var condition: Condition
}
final class ProbeEngine: Sendable {
    func stop() {}; func follow(_ model: SwitchModel, of: Controller) {}
}
