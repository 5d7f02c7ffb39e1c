#!/bin/sh
# The gate on the forwarding path, in a release build: no allocation in ten million frames through
# memory and in one million through real TAPs; and, so that the gate is known to work, a planted
# allocation has to be found in both.
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
expect 1 memory 1000000 --plant
expect 0 tap 1000000
expect 1 tap 100000 --plant
echo "gate: passed; each planted allocation was found"
