/// Capture files as a port: frames of `read` enter the switch, frames that leave go to `write`.
/// At least one is given.
package struct PcapSpec: Hashable, Sendable {
    package var read: String?
    package var write: String?

    package init(read: String? = nil, write: String? = nil) {
        self.read = read
        self.write = write
    }
}
