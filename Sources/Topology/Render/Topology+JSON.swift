import Foundation
import Yams

extension Topology {
    /// The topology's canonical form as JSON text: the same keys as in the file.
    package var json: String {
        // The canonical YAML is ours and plain: it always loads, and as strings, numbers, flags,
        // lists and mappings only.
        guard let value = try? Yams.load(yaml: yaml),
            let data = try? JSONSerialization.data(
                withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes])
        else { preconditionFailure("the canonical form is not JSON") }
        return String(decoding: data, as: UTF8.self)
    }
}
