/// What a session needs of the system: mapping, descriptors. Everything else of it is pure.
protocol VhostSystem: AnyObject {
    /// Maps a part of a file that the front-end passed, for reading and writing.
    func map(
        _ descriptor: PassedDescriptor, offset: UInt64, byteCount: UInt64
    ) throws(VhostFault) -> any SharedMemory
    /// Makes a file of zeros to be passed to the front-end, and maps it.
    func makeFile(
        byteCount: Int
    ) throws(VhostFault) -> (descriptor: PassedDescriptor, memory: any SharedMemory)
    /// Checks that a descriptor is one to notify by, and sees to it that notifying never waits.
    func prepare(notifier: PassedDescriptor) throws(VhostFault)
    func signal(_ notifier: PassedDescriptor)
}
