import SystemPackage

/// Why a capture file could not be read, or not to its end.
package enum CaptureFileError: Error, Equatable {
    case cannotOpen(path: String, Errno)
    case cannotRead(path: String, offset: UInt64, Errno)
    case format(path: String, CaptureFormatError)
}

extension CaptureFileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let path, let errno): "cannot open capture file '\(path)': \(errno)"
        case .cannotRead(let path, let offset, .isDirectory):
            "cannot read capture file '\(path)' at byte \(offset): it is a directory"
        case .cannotRead(let path, let offset, let errno):
            "cannot read capture file '\(path)' at byte \(offset): \(errno)"
        case .format(let path, let error): "capture file '\(path)', \(error)"
        }
    }
}
