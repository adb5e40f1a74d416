#!/usr/bin/env bash
# Trains the write-up's families of nets at one budget of parameters on the demo market: payout, seconds, memory.
#   benchmarks/families.sh [FAMILY ...]
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure families "$@"
