/// Devices of the switch's namespace that are not Heddle's: a TAP that a hypervisor owns, an end of
/// a veth, a physical card.
package enum DeviceSpec: Hashable, Sendable {
    /// The device of that name, whenever there is one.
    case name(String)
    /// A template: every device that matches becomes a port like this one.
    case match(DeviceMatch)
}
