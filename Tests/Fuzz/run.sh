#!/bin/sh
# Builds the fuzz targets with libFuzzer into .build/fuzz and runs each over its committed corpus.
#
#   Tests/Fuzz/run.sh [RUNS] [TARGET…]     RUNS per target, 1000000 if not given
#   FUZZ_SANITIZE=fuzzer Tests/Fuzz/run.sh 100000000     faster, without AddressSanitizer
#
#   Tests/Fuzz/smoke.sh                                  what 'make test' runs: about a minute
#
# A new target is a name in `all`, a line in `sources`, one file here that exports
# LLVMFuzzerTestOneInput and a folder of first inputs in Corpus/. All of its sources are compiled as
# one module, so that imports of Heddle's own Swift modules are taken out on the way. New inputs are
# collected in .build/fuzz/TARGET and kept from run to run; a crash leaves its input there as
# crash-….
set -eu
cd "$(dirname "$0")/../.."

runs=${1:-1000000}
[ $# -gt 0 ] && shift
all='wire offload coalescer forwarding tunnel vhost-message virtqueue pcapng'
targets=${*:-$all}
work=$PWD/.build/fuzz
modules=$PWD/Sources/CPrefetch
# The coalescer fills a burst.
memory=Sources/Dataplane/Memory
slots="$memory/Burst.swift $memory/Frame.swift $memory/FramePool.swift $memory/FrameSegment.swift
    $memory/ReceivedFrame.swift"
# The rings of a vhost-user port, without its system calls.
vhost=Sources/Ports/VhostUser
rings="$vhost/DescriptorChain.swift $vhost/DirtyLog.swift $vhost/EntryFlow.swift
    $vhost/GuestMemory.swift $vhost/PackedInflight.swift $vhost/PackedRing.swift
    $vhost/RARPAnnouncement.swift $vhost/SplitInflight.swift $vhost/SplitRing.swift
    $vhost/VhostDevice.swift $vhost/VirtQueue*.swift $vhost/VirtRing.swift
    $vhost/VirtioFeature.swift"
replies='Sources/Dataplane/Tunnel/TooBigReply.swift Sources/Dataplane/Tunnel/MSSClamp.swift'

# A session without its system: no sockets, no mappings.
session="$vhost/DirtyLog.swift $vhost/GuestMemory.swift $vhost/GuestMemoryTable.swift \
    $vhost/InflightRegion.swift $vhost/PackedRingPosition.swift $vhost/PassedDescriptor.swift $vhost/PayloadReader.swift \
    $vhost/VhostDevice.swift $vhost/VhostFeatures.swift $vhost/VhostMessage.swift \
    $vhost/VhostMessageAssembler.swift $vhost/VhostReply.swift $vhost/VhostRequest.swift \
    $vhost/VhostRing.swift $vhost/VhostSession.swift $vhost/VhostSession+Memory.swift \
    $vhost/VhostSession+Rings.swift $vhost/VhostSystem.swift $vhost/VirtioFeature.swift"

# What decodes a capture file's bytes, without the file itself.
reading=Sources/Capture/Reading
capture="Sources/Capture/CaptureDirection.swift $reading/CaptureFileDecoder.swift \
    $reading/CaptureFormat*.swift $reading/CaptureInterface.swift $reading/CapturedFrame.swift \
    $reading/ClassicPcapReader.swift $reading/PcapngReader.swift"

sources() {
    case $1 in
    wire) echo Sources/Wire/*.swift Tests/Fuzz/WireFuzz.swift ;;
    offload)
        echo Sources/Wire/*.swift Sources/Dataplane/Offload/*.swift $slots Tests/Fuzz/OffloadFuzz.swift
        ;;
    coalescer)
        echo Sources/Wire/*.swift Sources/Dataplane/Offload/*.swift $slots $replies \
            Tests/Fuzz/CoalescerFuzz.swift
        ;;
    forwarding)
        echo Sources/Wire/*.swift Sources/Dataplane/*.swift Sources/Dataplane/*/*.swift \
            Tests/Fuzz/FuzzInput.swift Tests/Fuzz/ReferenceModel.swift \
            Tests/Fuzz/ForwardingFuzz.swift
        ;;
    tunnel)
        echo Sources/Wire/*.swift Sources/Dataplane/*.swift Sources/Dataplane/*/*.swift \
            Tests/Fuzz/FuzzInput.swift Tests/Fuzz/ReferenceModel.swift \
            Tests/Fuzz/TunnelFuzz*.swift
        ;;
    vhost-message)
        echo Sources/Wire/*.swift $session Tests/Fuzz/FuzzInput.swift Tests/Fuzz/VhostMessageFuzz*.swift
        ;;
    virtqueue)
        echo Sources/Wire/*.swift Sources/Dataplane/*.swift Sources/Dataplane/*/*.swift $rings \
            Tests/Fuzz/FuzzInput.swift Tests/Fuzz/VirtQueueFuzz.swift
        ;;
    pcapng)
        echo $capture Tests/Fuzz/PcapngFuzz.swift
        ;;
    *)
        echo "run.sh: there is no fuzz target '$1'; the targets are: $all" >&2
        exit 2
        ;;
    esac
}

for target in $targets; do
    files=$(sources "$target")
    tree=$work/$target.sources
    rm -rf "$tree"
    mkdir -p "$tree" "$work/$target"
    for file in $files; do
        # Blanked and not deleted, so that line numbers stay.
        sed -E 's/^import (Wire|Dataplane)$//' "$file" >"$tree/$(echo "$file" | tr / -)"
    done
    # In the tree, since swiftc leaves the module's files where it runs.
    (cd "$tree" && swiftc -O -wmo -g -use-ld=lld -parse-as-library -swift-version 6 \
        -package-name heddle -enable-experimental-feature Lifetimes -I "$modules" \
        -sanitize="${FUZZ_SANITIZE:-fuzzer,address}" -module-name Fuzz ./*.swift \
        -o "$work/$target.fuzz")
    # A switch that lives on keeps memory of every execution for a while; looking for leaks after each
    # would take all the time.
    leaks=1
    case $target in forwarding | tunnel) leaks=0 ;; esac
    echo "fuzz: $target, $runs runs"
    # Swift's own backtracer would wait for libFuzzer, which prints one too.
    SWIFT_BACKTRACE=enable=no "$work/$target.fuzz" -runs="$runs" -max_len=1600 -timeout=10 -rss_limit_mb=2048 \
        -detect_leaks="$leaks" \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$work/$target/" \
        "$work/$target" "Tests/Fuzz/Corpus/$target"
done
