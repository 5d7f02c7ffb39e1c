/// Text as pcapng stores it: UTF-8, not terminated.
enum PcapngText {
    /// The text's octets without NUL characters, cut between two characters so that at most
    /// `limit` octets remain.
    static func octets(of text: String, limit: Int) -> [UInt8] {
        var octets: [UInt8] = []
        for scalar in text.unicodeScalars where scalar != "\0" {
            let encoded = UTF8.encode(scalar)!  // a Unicode.Scalar always has an encoding
            guard octets.count + encoded.count <= limit else { break }
            octets.append(contentsOf: encoded)
        }
        return octets
    }
}
