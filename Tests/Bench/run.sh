#!/bin/sh
# The benchmark against other switches and against C: builds all that takes part, then measures in
# namespaces of its own. `make bench` installs what it needs first.
#
#   Tests/Bench/run.sh [--full] [--only 'tap-*,aa-64'] [--output FILE]
#
# About 40 minutes, 120 with --full. Prints a table, writes .build/bench/results.json (with --only,
# .build/bench/only.json). Exit code 0: every row was measured, whether or not it met its goal.
set -eu
cd "$(dirname "$0")/../.."

output=.build/bench/results.json
for argument in "$@"; do
    case $argument in --only | --only=*) output=.build/bench/only.json ;; esac
done

for product in heddle heddle-bench heddle-generator heddle-core; do
    swift build -c release --product "$product"
done
# The core without capture points, to show what they cost when nobody captures.
swift build -c release --product heddle-core --scratch-path .build/bench/bare \
    -Xswiftc -DHEDDLE_WITHOUT_CAPTURE
mkdir -p .build/bench
cp .build/bench/bare/release/heddle-core .build/bench/heddle-core-bare
products=$(swift build -c release --show-bin-path)

# Swift's own clang where there is no other; it lies beside swift. Both optimise for the same
# baseline of the architecture, since neither is told of a processor.
clang=$(command -v clang || echo "$(dirname "$(realpath "$(command -v swift)")")/clang")
mkdir -p .build/bench
# Each .c is a program; the headers beside it are its parts.
for source in Tests/Bench/C/*.c; do
    "$clang" -O3 -std=gnu17 -Wall -Wextra -o ".build/bench/$(basename "$source" .c)" "$source"
done
# The guests of the vhost-user rows, which are not measured where there is no DPDK.
rm -f .build/bench/virtio
if pkg-config --exists libdpdk; then
    # shellcheck disable=SC2046 # words are wanted
    "$clang" -O3 -std=gnu17 -Wall -Wextra $(pkg-config --cflags libdpdk) \
        -o .build/bench/virtio Tests/Bench/C/DPDK/virtio.c $(pkg-config --libs libdpdk)
fi

commit=$(git describe --always --dirty 2>/dev/null || echo "an unknown commit")
exec "$products/heddle-bench" run --products "$products" --twins "$PWD/.build/bench" \
    --commit "$commit" --output "$output" "$@"
