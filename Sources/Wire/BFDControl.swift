/// The mandatory section of a BFD control packet (RFC 5880 section 4.1), by value: a session keeps
/// some of it and sends it with its own numbers.
public struct BFDControl: Equatable, Sendable, BitwiseCopyable {
    /// The length of the mandatory section, which is all that we send.
    public static var byteCount: Int { 24 }

    /// What a session takes itself to be.
    public enum State: UInt8, Sendable, BitwiseCopyable {
        case adminDown = 0
        case down = 1
        case initializing = 2
        case up = 3
    }

    /// Why the sender's session last changed its state: 5 bits, section 4.1.
    public var diagnostic: UInt8
    public var state: State
    /// Asks for an answer with `isFinal` at once.
    public var isPoll: Bool
    public var isFinal: Bool
    /// Whether an authentication section follows. We send none and cannot check one.
    public var isAuthenticated: Bool
    /// Intervals without a packet after which the sender is down.
    public var detectMultiplier: UInt8
    /// The sender's name for the session; never 0.
    public var myDiscriminator: UInt32
    /// The receiver's name for the session, as the sender heard it; 0 until it did.
    public var yourDiscriminator: UInt32
    /// In microseconds, as are the next two.
    public var desiredMinimumTransmitInterval: UInt32
    public var requiredMinimumReceiveInterval: UInt32
    public var requiredMinimumEchoReceiveInterval: UInt32

    public init(
        state: State, diagnostic: UInt8 = 0, isPoll: Bool = false, isFinal: Bool = false,
        detectMultiplier: UInt8, myDiscriminator: UInt32, yourDiscriminator: UInt32,
        desiredMinimumTransmitInterval: UInt32, requiredMinimumReceiveInterval: UInt32,
        requiredMinimumEchoReceiveInterval: UInt32 = 0
    ) {
        self.diagnostic = diagnostic
        self.state = state
        self.isPoll = isPoll
        self.isFinal = isFinal
        self.isAuthenticated = false
        self.detectMultiplier = detectMultiplier
        self.myDiscriminator = myDiscriminator
        self.yourDiscriminator = yourDiscriminator
        self.desiredMinimumTransmitInterval = desiredMinimumTransmitInterval
        self.requiredMinimumReceiveInterval = requiredMinimumReceiveInterval
        self.requiredMinimumEchoReceiveInterval = requiredMinimumEchoReceiveInterval
    }

    /// Reads the payload of a UDP datagram. Nil when one of the checks of section 6.8.6 fails that
    /// need no session: version, length, detect multiplier, multipoint, discriminators.
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 24, bytes.byte(0) >> 5 == 1 else { return nil }
        let flags = bytes.byte(1)
        let length = Int(bytes.byte(3))
        let isAuthenticated = flags & 0x04 != 0
        guard length >= (isAuthenticated ? 26 : 24), length <= bytes.byteCount,
            bytes.byte(2) != 0, flags & 0x01 == 0, let state = State(rawValue: flags >> 6)
        else { return nil }
        self.diagnostic = bytes.byte(0) & 0x1F
        self.state = state
        self.isPoll = flags & 0x20 != 0
        self.isFinal = flags & 0x10 != 0
        self.isAuthenticated = isAuthenticated
        self.detectMultiplier = bytes.byte(2)
        self.myDiscriminator = bytes.loadBigEndian(4)
        self.yourDiscriminator = bytes.loadBigEndian(8)
        self.desiredMinimumTransmitInterval = bytes.loadBigEndian(12)
        self.requiredMinimumReceiveInterval = bytes.loadBigEndian(16)
        self.requiredMinimumEchoReceiveInterval = bytes.loadBigEndian(20)
        guard myDiscriminator != 0 else { return nil }
        guard yourDiscriminator != 0 || state == .down || state == .adminDown else { return nil }
    }

    /// Writes the 24 bytes, which the caller guarantees to be writable, as a packet without
    /// authentication.
    public func write(to packet: UnsafeMutableRawPointer) {
        let flags = state.rawValue << 6 | (isPoll ? 0x20 : 0) | (isFinal ? 0x10 : 0)
        packet.storeBytes(of: 1 << 5 | diagnostic & 0x1F, as: UInt8.self)
        packet.storeBytes(of: flags, toByteOffset: 1, as: UInt8.self)
        packet.storeBytes(of: detectMultiplier, toByteOffset: 2, as: UInt8.self)
        packet.storeBytes(of: UInt8(Self.byteCount), toByteOffset: 3, as: UInt8.self)
        packet.storeBigEndian(myDiscriminator, at: 4)
        packet.storeBigEndian(yourDiscriminator, at: 8)
        packet.storeBigEndian(desiredMinimumTransmitInterval, at: 12)
        packet.storeBigEndian(requiredMinimumReceiveInterval, at: 16)
        packet.storeBigEndian(requiredMinimumEchoReceiveInterval, at: 20)
    }
}
