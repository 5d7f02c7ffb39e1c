#!/bin/sh
# Each fuzz target over its corpus and 20,000 inputs more: that they build and still hold.
exec "$(dirname "$0")/run.sh" 20000
