import CLinux

/// Whether this process may make network and mount namespaces: root, or inside
/// `unshare --user --map-root-user`. Where it may not, tests of the real kernel are skipped, and
/// say so.
package let canMakeNamespaces: Bool = {
    var outcome = false
    try? PinnedThread.run { outcome = unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 }
    if !outcome {
        print("SKIPPED: tests of the real kernel; run them as root, or inside")
        print("         unshare --user --map-root-user --net --mount swift test")
    }
    return outcome
}()

/// Why a test was skipped.
package let namespacesNeeded = "it needs CAP_SYS_ADMIN to make namespaces"

/// Runs `body` on a thread of its own in a new network and a new private mount namespace, so that
/// neither devices nor mounts reach the machine; both end with the thread and what it opened.
package func inFreshNamespace(_ body: () throws -> Void) throws {
    try PinnedThread.run {
        guard unshare(CLONE_NEWNET | CLONE_NEWNS) == 0,
            mount("none", "/", nil, UInt(MS_REC | MS_PRIVATE), nil) == 0
        else { preconditionFailure("no fresh namespace, although canMakeNamespaces said so") }
        try body()
    }
}

/// Whether the condition holds within two seconds. What ends with a descriptor may end a moment
/// late: a child that another test starts holds a copy of it from its fork to its exec.
package func soon(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<400 {
        if try condition() { return true }
        usleep(5000)
    }
    return false
}
