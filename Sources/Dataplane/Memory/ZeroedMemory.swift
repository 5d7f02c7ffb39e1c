/// A source of large zero-filled memory.
package protocol ZeroedMemory: Sendable {
    /// At least 64-byte aligned; every byte is 0.
    func allocate(byteCount: Int) -> UnsafeMutableRawPointer
    /// Takes back what ``allocate(byteCount:)`` gave.
    func release(_ memory: UnsafeMutableRawPointer, byteCount: Int)
    /// Announces that all of it will be used, at random; callable while it is in use.
    func makeResident(_ memory: UnsafeMutableRawPointer, byteCount: Int)
}

/// Memory of the heap, zeroed by hand: every page of it is resident at once.
package struct HeapMemory: ZeroedMemory {
    package init() {}

    package func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        return memory
    }

    package func release(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        memory.deallocate()
    }

    package func makeResident(_ memory: UnsafeMutableRawPointer, byteCount: Int) {}
}
