/// Which way a frame went through the switch when a capture saw it.
package enum CaptureDirection: UInt8, Sendable {
    /// Into the switch: received from the port's peer. pcapng calls it inbound (1).
    case ingress = 1
    /// Out of the switch: transmitted to the port's peer. pcapng calls it outbound (2).
    case egress = 2
}
