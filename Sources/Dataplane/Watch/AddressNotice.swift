/// A change of the FDB that its owner tells the control side of.
package struct AddressNotice: BitwiseCopyable, Sendable {
    package enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// The address was not known.
        case learned
        /// It was behind ``AddressNotice/previousPort``.
        case moved
    }

    package var kind: Kind
    /// Domain and address, as ``FDBKey/word``.
    package var key: UInt64
    /// Where the address is now.
    package var port: UInt16
    package var previousPort: UInt16
    /// Monotonic nanoseconds.
    package var time: UInt64
}
