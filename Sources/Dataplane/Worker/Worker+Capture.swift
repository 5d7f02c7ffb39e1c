/// Copies of frames for running captures: at ingress as received, at egress as transmitted.
extension Worker {
    mutating func captureIngress(port: UInt16) {
        for place in 0..<burst.count { burst.frames[place].gather() }
        for tap in snapshot.captures where tap.capturesIngress && tap.covers(port: port) {
            let ring = tap.rings[index]
            for place in 0..<burst.count {
                ring.append(
                    port: port, isEgress: false, reason: .none, time: time,
                    snapLength: tap.snapLength, head: burst.frames[place].buffer,
                    body: UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
    }

    /// Copies what is to leave by a tunnel, as it is before it is wrapped.
    mutating func captureTunnelEgress(chain head: Int32, port: UInt16) {
        for tap in snapshot.captures where tap.capturesEgress && tap.covers(port: port) {
            let ring = tap.rings[index]
            var next = head
            while next >= 0 {
                let frame = references[Int(next)].frame
                frame.pointee.gather()
                next = references[Int(next)].next
                ring.append(
                    port: port, isEgress: true, reason: .none, time: time,
                    snapLength: tap.snapLength, head: frame.pointee.buffer,
                    body: UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
    }

    /// Copies what was transmitted of the first `count` entries.
    mutating func captureEgress(_ count: Int, port: UInt16) {
        for tap in snapshot.captures where tap.capturesEgress && tap.covers(port: port) {
            let ring = tap.rings[index]
            for place in 0..<count where entries[place].outcome == .none {
                ring.append(
                    port: port, isEgress: true, reason: .none, time: time,
                    snapLength: tap.snapLength, head: entries[place].frameHead,
                    body: UnsafeRawBufferPointer(
                        start: entries[place].body, count: entries[place].bodyByteCount))
            }
        }
    }
}
