// A terminal's alternate screen with keys that come as they are pressed. Whatever ends the program
// (a key, a signal, an error) the terminal is given back as it was; a stop (Ctrl-Z) gives it back
// for as long as it lasts. Standard input that is no terminal has no keys.

import Control
import Glibc

final class TerminalScreen {
    enum Event: Equatable {
        case key(Key)
        /// The terminal has another size, or was given back to us.
        case redraw
        /// A signal that asks to end.
        case end
        case timeout
    }

    enum Key: Equatable {
        case character(Character)
        case up, down
    }

    private let signals: SignalDescriptor
    private var before: termios?
    private var isEntered = false
    private var hasKeys = isatty(STDIN_FILENO) == 1

    /// Call it before any thread starts: it blocks signals.
    init() throws {
        signals = try SignalDescriptor([
            SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT,
        ])
        enter()
    }

    deinit { leave() }

    private func enter() {
        guard !isEntered else { return }
        isEntered = true
        var settings = termios()
        if hasKeys, tcgetattr(STDIN_FILENO, &settings) == 0 {
            before = settings
            settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
            tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
        }
        // Alternate screen, no cursor, no wrapping at the right edge.
        Terminal.writeOutput("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
    }

    func leave() {
        guard isEntered else { return }
        isEntered = false
        Terminal.writeOutput("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        if var before { tcsetattr(STDIN_FILENO, TCSADRAIN, &before) }
    }

    /// Columns and lines; 80 and 24 where the terminal does not say.
    var size: (width: Int, height: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0
        else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Replaces what is shown, line by line, so that nothing flickers.
    func show(_ lines: [String]) {
        Terminal.writeOutput(
            "\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
    }

    /// Waits for a key or a signal.
    func wait(milliseconds: Int32) -> Event {
        var entries = [
            pollfd(fd: signals.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
            // A negative descriptor is passed over.
            pollfd(fd: hasKeys ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&entries, 2, milliseconds) > 0 else { return .timeout }
        if entries[0].revents != 0, let signal = signals.next() { return handle(signal) }
        guard entries[1].revents != 0 else { return .redraw }
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = read(STDIN_FILENO, &bytes, bytes.count)
        guard count > 0 else {
            hasKeys = false
            return .redraw
        }
        return TerminalScreen.key(in: bytes[..<count]).map { .key($0) } ?? .redraw
    }

    private func handle(_ signal: Int32) -> Event {
        switch signal {
        case SIGWINCH: return .redraw
        case SIGTSTP:
            leave()
            // The one that cannot be blocked; the program stands here until it is continued.
            raise(SIGSTOP)
            enter()
            return .redraw
        case SIGCONT:
            enter()
            return .redraw
        default: return .end
        }
    }

    /// What was pressed; nil for keys that mean nothing here.
    static func key(in bytes: ArraySlice<UInt8>) -> Key? {
        switch Array(bytes) {
        case [0x1B, 0x5B, 0x41], [0x1B, 0x4F, 0x41]: .up
        case [0x1B, 0x5B, 0x42], [0x1B, 0x4F, 0x42]: .down
        case let one where one.first.map { (0x20...0x7E).contains($0) } ?? false:
            .character(Character(UnicodeScalar(one[0])))
        default: nil
        }
    }
}
