extension Topology {
    /// How a network travels between two hosts: by its own encapsulation, else by that of either
    /// host (validation refuses two that differ), else by the topology's.
    package func encapsulation(
        of network: NetworkSpec, between left: HostSpec, and right: HostSpec
    ) -> OverlaySpec {
        network.overlay ?? left.overlay ?? right.overlay ?? overlay
    }
}
