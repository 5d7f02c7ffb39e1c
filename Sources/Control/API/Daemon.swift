/// The switch as a process. `run` returns when the switch has stopped cleanly.
package enum Daemon {
    package static func run(_ options: RunOptions) throws {
        throw ServiceError.failed(["this build of heddle contains no switch, only its clients"])
    }
}
