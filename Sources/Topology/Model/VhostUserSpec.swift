/// A vhost-user socket, over which a hypervisor shares a guest's memory and rings.
package struct VhostUserSpec: Hashable, Sendable {
    package static let queuesRange = 1...16
    package static let defaultQueues = 8

    /// The socket's path.
    package var socket: String
    package var mode: SocketMode
    /// Queue pairs that the guest may have at most.
    package var queues: Int
    package var access: SocketAccess

    package init(
        socket: String,
        mode: SocketMode = .client,
        queues: Int = defaultQueues,
        access: SocketAccess = SocketAccess()
    ) {
        self.socket = socket
        self.mode = mode
        self.queues = queues
        self.access = access
    }
}
