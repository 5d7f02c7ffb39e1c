/// A classic BPF program that a worker runs over a frame before it copies it: the instruction set of
/// McCanne and Jacobson's "The BSD Packet Filter" (1993), as libpcap compiles filters to it.
///
/// A program is checked when it is made: known instructions, jumps forward and inside, a return at
/// the end, constants that cannot divide by zero, registers that exist. Running it then ends after as
/// many steps as it has instructions at most, and reads nothing but the bytes it is given. What lies
/// beyond the frame rejects it, as in every implementation; what lies beyond the bytes at hand of a
/// longer frame asks for more.
///
/// Not here: extensions of Linux (ancillary loads), which need more than the frame.
package final class FilterProgram: @unchecked Sendable {
    // @unchecked: a constant pointer to constant memory.

    /// As `struct bpf_insn`.
    package struct Instruction: Equatable, Sendable, BitwiseCopyable {
        package var code: UInt16
        package var jumpTrue: UInt8
        package var jumpFalse: UInt8
        package var constant: UInt32

        package init(code: UInt16, jumpTrue: UInt8, jumpFalse: UInt8, constant: UInt32) {
            self.code = code
            self.jumpTrue = jumpTrue
            self.jumpFalse = jumpFalse
            self.constant = constant
        }
    }

    package enum Outcome: Equatable, Sendable {
        case match
        case mismatch
        /// The bytes at hand do not reach as far as the program looks.
        case needsMore
    }

    package static let maximumCount = 4096
    private static let registerCount = 16

    private let instructions: UnsafeMutablePointer<Instruction>
    private let count: Int
    /// Whether it has a use for memory, which few filters have.
    private let usesRegisters: Bool

    /// Nil for a program that does not pass the checks.
    package init?(_ program: [Instruction]) {
        guard !program.isEmpty, program.count <= FilterProgram.maximumCount,
            program.indices.allSatisfy({
                FilterProgram.isValid(program[$0], at: $0, count: program.count)
            }),
            program[program.count - 1].code & 0x07 == 0x06
        else { return nil }
        count = program.count
        usesRegisters = program.contains { [0x60, 0x61, 0x02, 0x03].contains($0.code) }
        instructions = .allocate(capacity: program.count)
        instructions.initialize(from: program, count: program.count)
    }

    deinit { instructions.deallocate() }

    private static func isValid(_ instruction: Instruction, at place: Int, count: Int) -> Bool {
        let left = count - place - 1
        switch instruction.code {
        case 0x00, 0x01, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x81, 0xB1: return true
        case 0x60, 0x61, 0x02, 0x03: return instruction.constant < registerCount
        case 0x04, 0x0C, 0x14, 0x1C, 0x24, 0x2C, 0x3C, 0x44, 0x4C, 0x54, 0x5C, 0x64, 0x6C, 0x74,
            0x7C, 0x84, 0x9C, 0xA4, 0xAC:
            return true
        case 0x34, 0x94: return instruction.constant != 0
        case 0x05: return instruction.constant < UInt32(left)
        case 0x15, 0x1D, 0x25, 0x2D, 0x35, 0x3D, 0x45, 0x4D:
            return Int(instruction.jumpTrue) < left && Int(instruction.jumpFalse) < left
        case 0x06, 0x16, 0x07, 0x87: return true
        default: return false
        }
    }

    /// Runs the program over the first bytes of a frame that has `frameByteCount` in all.
    package func run(_ bytes: UnsafeRawBufferPointer, frameByteCount: Int) -> Outcome {
        let none = UnsafeMutableBufferPointer<UInt32>(start: nil, count: 0)
        guard usesRegisters else { return run(bytes, frameByteCount, none) }
        return withUnsafeTemporaryAllocation(
            of: UInt32.self, capacity: FilterProgram.registerCount
        ) { registers in
            registers.initialize(repeating: 0)
            return run(bytes, frameByteCount, registers)
        }
    }

    @inline(__always)
    private func run(
        _ bytes: UnsafeRawBufferPointer, _ frameByteCount: Int,
        _ registers: UnsafeMutableBufferPointer<UInt32>
    ) -> Outcome {
        guard let base = bytes.baseAddress else { return .mismatch }
        var a: UInt32 = 0
        var x: UInt32 = 0
        var place = 0
        while place < count {
            let one = instructions[place]
            place &+= 1
            let k = one.constant
            switch one.code {
            // Loads: absolute, then relative to x.
            case 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xB1:
                let isRelative = one.code & 0x40 != 0
                let offset = Int(k) &+ (isRelative ? Int(x) : 0)
                let width = one.code & 0x18 == 0 ? 4 : one.code & 0x18 == 0x08 ? 2 : 1
                let needed = one.code == 0xB1 ? 1 : width
                guard offset &+ needed <= bytes.count else {
                    return offset &+ needed <= frameByteCount ? .needsMore : .mismatch
                }
                if one.code == 0xB1 {
                    x = UInt32(base.load(fromByteOffset: offset, as: UInt8.self) & 0x0F) * 4
                } else if width == 4 {
                    a = base.loadBigEndian(offset)
                } else if width == 2 {
                    a = UInt32(base.loadBigEndian(offset, as: UInt16.self))
                } else {
                    a = UInt32(base.load(fromByteOffset: offset, as: UInt8.self))
                }
            case 0x00: a = k
            case 0x01: x = k
            case 0x80: a = UInt32(truncatingIfNeeded: frameByteCount)
            case 0x81: x = UInt32(truncatingIfNeeded: frameByteCount)
            case 0x60: a = registers[Int(k)]
            case 0x61: x = registers[Int(k)]
            case 0x02: registers[Int(k)] = a
            case 0x03: registers[Int(k)] = x
            case 0x07: x = a
            case 0x87: a = x
            case 0x05: place &+= Int(k)
            case 0x06: return k == 0 ? .mismatch : .match
            case 0x16: return a == 0 ? .mismatch : .match
            default:
                let operand = one.code & 0x08 != 0 ? x : k
                if one.code & 0x07 == 0x05 {
                    let holds: Bool
                    switch one.code & 0xF0 {
                    case 0x10: holds = a == operand
                    case 0x20: holds = a > operand
                    case 0x30: holds = a >= operand
                    default: holds = a & operand != 0
                    }
                    place &+= Int(holds ? one.jumpTrue : one.jumpFalse)
                } else {
                    guard let result = FilterProgram.compute(one.code, a, operand) else {
                        return .mismatch
                    }
                    a = result
                }
            }
        }
        return .mismatch
    }

    /// Nil for a division by zero, which ends a program.
    private static func compute(_ code: UInt16, _ a: UInt32, _ operand: UInt32) -> UInt32? {
        switch code & 0xF0 {
        case 0x00: a &+ operand
        case 0x10: a &- operand
        case 0x20: a &* operand
        case 0x30: operand == 0 ? nil : a / operand
        case 0x40: a | operand
        case 0x50: a & operand
        case 0x60: operand > 31 ? 0 : a &<< operand
        case 0x70: operand > 31 ? 0 : a &>> operand
        case 0x80: 0 &- a
        case 0x90: operand == 0 ? nil : a % operand
        default: a ^ operand
        }
    }
}
