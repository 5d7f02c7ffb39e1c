import Logging

/// What `heddle run` was asked for.
package struct RunOptions: Sendable, Equatable {
    /// The topology file; nil starts the stored topology.
    package var file: String?
    /// Path of the HTTP socket; nil is the default for this user and `sandbox`.
    package var socketPath: String?
    /// Directory of the daemon's state; nil is the default.
    package var stateDirectory: String?
    /// Which of the topology's hosts this is; nil takes the one it was last, or the machine's name.
    package var host: String?
    /// Worker threads, at least 1.
    package var workerCount: Int
    /// Whether to run in new user, mount and network namespaces.
    package var sandbox: Bool
    /// Which group may have network cards, and on which networks: `kvm`, `kvm=blue,green`.
    package var nicGroup: String?
    package var logLevel: Logger.Level
    /// Whether to print what is connected, who reaches whom, and what to type next.
    package var reports: Bool

    package init(
        file: String? = nil, host: String? = nil, socketPath: String? = nil,
        stateDirectory: String? = nil,
        workerCount: Int = 1, sandbox: Bool = false, nicGroup: String? = nil,
        logLevel: Logger.Level = .info,
        reports: Bool = false
    ) {
        self.file = file
        self.host = host
        self.socketPath = socketPath
        self.stateDirectory = stateDirectory
        self.workerCount = workerCount
        self.sandbox = sandbox
        self.nicGroup = nicGroup
        self.logLevel = logLevel
        self.reports = reports
    }
}
