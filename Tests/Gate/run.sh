#!/bin/sh
# The gate on the forwarding path, in a release build: no allocation, no retain or release per frame, no
# exclusivity check and no page fault in ten million frames through memory and in one million
# through real TAPs; and, so that the gate is known to work, one of each is planted and has to be found.
#
#   Tests/Gate/run.sh
#
# Exit code 0: all well; what this machine cannot do (no /dev/net/tun, no namespaces) is skipped aloud.
set -eu
cd "$(dirname "$0")/../.."
swift build -c release --product heddle-gate
gate=$(swift build -c release --show-bin-path)/heddle-gate

# expect WANTED-EXIT-CODE ARGUMENT…
expect() {
    wanted=$1
    shift
    echo "gate: heddle-gate $*"
    code=0
    "$gate" "$@" || code=$?
    if [ "$code" -eq 77 ] && [ "$1" = tap ]; then return 0; fi
    if [ "$code" -ne "$wanted" ]; then
        echo "gate: FAILED: 'heddle-gate $*' ended with $code instead of $wanted" >&2
        exit 1
    fi
}

expect 0 memory 10000000
for plant in allocation retain access page; do expect 1 memory 1000000 --plant "$plant"; done
expect 0 tap 1000000
expect 1 tap 100000 --plant allocation

# The switching core and its C twin decide, transmit and count the same (Tests/Bench/C/core.c).
clang=$(command -v clang || echo "$(dirname "$(realpath "$(command -v swift)")")/clang")
if [ -x "$clang" ]; then
    swift build -c release --product heddle-core
    twin=$(dirname "$gate")/core-twin
    "$clang" -std=gnu17 -O3 -o "$twin" Tests/Bench/C/core.c
    for macs in 16 4096; do
        run="--macs $macs --seconds 0 --digest-frames 65536"
        # shellcheck disable=SC2086 # words on purpose
        ours=$("$(dirname "$gate")/heddle-core" $run) theirs=$("$twin" $run)
        if [ "${ours##*digest}" != "${theirs##*digest}" ]; then
            echo "gate: FAILED: heddle-core and core.c differ with $macs addresses" >&2
            exit 1
        fi
    done
    echo "gate: heddle-core and core.c agree"
else
    echo "gate: SKIPPED: no clang to compare heddle-core with core.c"
fi
echo "gate: passed; each planted fault was found"
