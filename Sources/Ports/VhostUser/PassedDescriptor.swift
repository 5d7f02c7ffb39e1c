/// A descriptor that came over a socket, or goes: closed when nobody has it any more.
///
/// However a message fares, what came with it is closed by that alone.
final class PassedDescriptor {
    let rawValue: Int32
    private let close: (Int32) -> Void

    init(_ rawValue: Int32, close: @escaping (Int32) -> Void) {
        self.rawValue = rawValue
        self.close = close
    }

    deinit { close(rawValue) }
}
