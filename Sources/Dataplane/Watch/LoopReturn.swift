import Wire

/// A loop probe that came back: the port it left by and the one it came in by are connected outside
/// the switch.
package struct LoopReturn: BitwiseCopyable, Sendable {
    package var probe: LoopProbe
    /// Where it came in: a port, or a tunnel.
    package var ingress: UInt16
    /// Bridge domain that it came back in.
    package var domain: UInt16
    /// Monotonic nanoseconds.
    package var time: UInt64
}
