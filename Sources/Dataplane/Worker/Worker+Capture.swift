/// Copies of frames for running captures: at ingress as received, at egress as transmitted.
extension Worker {
    mutating func captureIngress(port: UInt16) {
        for place in 0..<burst.count { burst.frames[place].gather() }
        for tap in snapshot.captures where tap.capturesIngress && tap.covers(port: port) {
            let ring = tap.rings[index]
            for place in 0..<burst.count {
                ring.append(
                    record(port: port, .ingress), snapLength: tap.snapLength,
                    head: burst.frames[place].buffer)
            }
            ring.publish()
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
                    record(port: port, .egress), snapLength: tap.snapLength,
                    head: frame.pointee.buffer)
            }
            ring.publish()
        }
    }

    /// Copies what was transmitted of the first `count` entries.
    mutating func captureEgress(_ count: Int, port: UInt16) {
        for tap in snapshot.captures where tap.capturesEgress && tap.covers(port: port) {
            let ring = tap.rings[index]
            for place in 0..<count where entries[place].outcome == .none {
                ring.append(
                    record(port: port, .egress), snapLength: tap.snapLength,
                    head: entries[place].frameHead,
                    body: UnsafeRawBufferPointer(
                        start: entries[place].body, count: entries[place].bodyByteCount))
            }
            ring.publish()
        }
    }

    private func record(port: UInt16, _ point: FrameRecord.Point) -> FrameRecord {
        var record = FrameRecord(port: port, point: point)
        record.time = time
        return record
    }
}
