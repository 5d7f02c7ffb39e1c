#!/bin/sh
# Each fuzz target over its corpus and some thousands of inputs more: that they build and still hold.
set -eu
run=$(dirname "$0")/run.sh
"$run" 20000 wire offload coalescer forwarding vhost-message virtqueue pcapng
# A whole switch with five tunnels takes longer.
"$run" 5000 tunnel
