// swift-tools-version: 6.1
import PackageDescription

/// Header views are `~Escapable` structs over spans; saying how long they live needs this.
let spans: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

// The layers, from the frame outwards; the module map is in README.md.
// Only Wire is called per frame across a module boundary; everything else is called per burst.
let package = Package(
    name: "heddle",
    products: [
        .executable(name: "heddle", targets: ["heddle"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.0"),
    ],
    targets: [
        // C: UAPI headers and system libraries, no logic.
        .target(name: "CLinux"),
        // One processor instruction, no system: the dataplane may import it.
        .systemLibrary(name: "CPrefetch"),
        .systemLibrary(name: "CMnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
        .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),

        // The switch.
        .target(name: "Wire", swiftSettings: spans),
        .target(name: "Dataplane", dependencies: ["Wire", "CPrefetch"], swiftSettings: spans),
        .target(
            name: "Ports",
            dependencies: [
                "Wire", "Dataplane", "Capture", "CLinux", "CPrefetch",
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        .target(
            name: "Netlink",
            dependencies: [
                "Wire", "CLinux", "CMnl",
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        .target(
            name: "Topology",
            dependencies: ["Wire", .product(name: "Yams", package: "Yams")]),
        .target(
            name: "Capture",
            dependencies: [
                "Wire", "Dataplane", "CPcap",
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        .target(name: "Trace", dependencies: ["Wire", "Topology", "Dataplane", "Capture"]),
        .target(name: "ControlAPI"),
        .target(
            name: "Control",
            dependencies: [
                "Wire", "Topology", "Dataplane", "Ports", "Netlink", "Capture", "Trace",
                "ControlAPI", "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "FlyingFox", package: "FlyingFox"),
            ]),
        .executableTarget(
            name: "heddle",
            dependencies: [
                "Control", "ControlAPI", "Topology", "Capture", "Trace", "Wire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // Tests: four rings, from pure to the whole switch in fresh namespaces.
        .target(name: "TestSupport", dependencies: ["Wire", "CLinux"], path: "Tests/TestSupport"),
        // The gate on allocations in the forwarding path; see Tests/Gate/run.sh.
        .target(name: "GateHooks", path: "Tests/GateHooks"),
        .executableTarget(
            name: "heddle-gate",
            dependencies: ["Wire", "Dataplane", "Ports", "CLinux", "GateHooks"],
            path: "Tests/Gate", exclude: ["run.sh"]),
        // The benchmark against other switches and against C; see Tests/Bench/run.sh.
        .executableTarget(
            name: "heddle-bench",
            dependencies: [
                "CLinux", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Bench/Harness"),
        .executableTarget(
            name: "heddle-generator",
            dependencies: [
                "Wire", "CLinux", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Bench/Generator"),
        .executableTarget(
            name: "heddle-core", dependencies: ["Wire", "Dataplane", "Ports"],
            path: "Tests/Bench/Core"),
        .executableTarget(
            name: "TestPeer", dependencies: ["Wire", "CLinux", "TestSupport"],
            path: "Tests/TestPeer"),
        .testTarget(name: "BenchTests", dependencies: ["heddle-bench", "TestSupport"]),
        .testTarget(name: "WireTests", dependencies: ["Wire", "TestSupport"]),
        .testTarget(name: "DataplaneTests", dependencies: ["Dataplane", "TestSupport"]),
        .testTarget(
            name: "PortsTests", dependencies: ["Ports", "Dataplane", "CLinux", "TestSupport"]),
        .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "CLinux", "TestSupport"]),
        .testTarget(name: "TopologyTests", dependencies: ["Topology", "TestSupport"]),
        .testTarget(
            name: "CaptureTests",
            dependencies: [
                "Capture", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        .testTarget(
            name: "TraceTests",
            dependencies: [
                "Trace", "Topology", "Dataplane", "Capture", "Wire", "TestSupport",
            ]),
        .testTarget(
            name: "ControlTests",
            dependencies: [
                "Control", "ControlAPI", "Dataplane", "Netlink", "Ports", "Topology", "Wire",
                "CLinux",
                "TestSupport",
            ]),
        .testTarget(
            name: "ReadmeTests",
            dependencies: [
                "heddle", "Topology", "Dataplane", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .testTarget(
            name: "SwitchTests",
            dependencies: ["heddle", "ControlAPI", "TestPeer", "TestSupport", "Wire"]),
    ],
    swiftLanguageModes: [.v6]
)
