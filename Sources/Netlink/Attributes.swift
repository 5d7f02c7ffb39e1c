import CMnl

/// The attributes of a message or a nest, in order, as libmnl finds them.
///
/// It borrows the receive buffer: valid only within the call that handed it out. An attribute whose
/// length runs past the end stops the walk, so a malformed message yields what was well formed.
struct Attributes: Sequence {
    private let payload: UnsafeRawBufferPointer

    init(_ payload: UnsafeRawBufferPointer) {
        self.payload = payload
    }

    /// What follows a fixed header of `headerByteCount` bytes (aligned as netlink aligns it).
    init(of payload: UnsafeRawBufferPointer, after headerByteCount: Int) {
        let offset = (headerByteCount + Int(MNL_ALIGNTO) - 1) & ~(Int(MNL_ALIGNTO) - 1)
        self.payload = UnsafeRawBufferPointer(
            rebasing: payload[Swift.min(offset, payload.count)...])
    }

    struct Element {
        let type: Int
        let payload: UnsafeRawBufferPointer

        var uint32: UInt32? {
            payload.count >= 4 ? payload.loadUnaligned(as: UInt32.self) : nil
        }
        var nested: Attributes { Attributes(payload) }

        /// Text up to the first NUL or the end; bytes that are not UTF-8 are replaced.
        var string: String {
            String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    struct Iterator: IteratorProtocol {
        fileprivate var rest: UnsafeRawBufferPointer

        mutating func next() -> Element? {
            guard let base = rest.baseAddress, rest.count >= MemoryLayout<nlattr>.size else {
                return nil
            }
            let attribute = base.assumingMemoryBound(to: nlattr.self)
            guard mnl_attr_ok(attribute, Int32(rest.count)),
                let value = mnl_attr_get_payload(attribute)
            else { return nil }
            let element = Element(
                type: Int(mnl_attr_get_type(attribute)),
                payload: UnsafeRawBufferPointer(
                    start: value, count: Int(mnl_attr_get_payload_len(attribute))))
            let step = (Int(mnl_attr_get_len(attribute)) + 3) & ~3
            rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(step, rest.count)...])
            return element
        }
    }

    func makeIterator() -> Iterator { Iterator(rest: payload) }
}
