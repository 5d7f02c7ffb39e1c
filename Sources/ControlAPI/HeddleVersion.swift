/// Version of the executable, daemon and client alike.
package enum HeddleVersion {
    package static let current = "0.1.0"
    /// Version of the control interface, as in its paths.
    package static let api = "v1"
}
