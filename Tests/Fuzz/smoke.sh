#!/bin/sh
# The fuzzers for a moment, on every 'make test': the committed corpus and some new inputs for each
# target, without AddressSanitizer, since this toolchain builds faster without.
set -eu
cd "$(dirname "$0")"
FUZZ_SANITIZE=fuzzer exec ./run.sh "${FUZZ_SMOKE_RUNS:-20000}"
