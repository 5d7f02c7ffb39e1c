import SystemPackage

/// What went wrong with a capture file that a port reads or writes.
package enum PcapFileError: Error, Equatable {
    case cannotOpen(path: String, Errno)
    /// A pipe was opened for writing, without waiting for somebody who reads it. A socket's path
    /// is refused by the kernel in the same words.
    case notRead(path: String)
    /// libpcap opened the file and refused it; `message` is libpcap's own.
    case notACapture(path: String, message: String)
    case wrongLinkType(path: String, name: String)
    /// The file is damaged behind its first `frames` frames.
    case damaged(path: String, frames: UInt64, message: String)
    /// Frames since the last successful flush may be missing from the file.
    case cannotWrite(path: String, Errno)
}

extension PcapFileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let path, let errno):
            return "cannot open capture file '\(path)': \(errno)"
        case .notRead(let path):
            return "nobody reads the pipe '\(path)': start its reader first, such as"
                + " 'tcpdump -r \(path)', or name a file"
        case .notACapture(let path, let message):
            return "'\(path)' is not a pcap or pcapng file that can be read: \(message)"
        case .wrongLinkType(let path, let name):
            return "'\(path)' holds frames of link type \(name): only Ethernet (EN10MB) can be"
                + " switched"
        case .damaged(let path, let frames, let message):
            return "'\(path)' is damaged after frame \(frames): \(message)"
        case .cannotWrite(let path, let errno):
            return "cannot write capture file '\(path)': \(errno)"
        }
    }
}

extension Errno {
    /// swift-system's calls throw `Errno` and nothing else, but their types do not say so.
    init(of error: any Error) {
        self = error as? Errno ?? .ioError
    }
}
