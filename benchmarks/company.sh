#!/usr/bin/env bash
# Wall-clock seconds a verdict on the demo market: candidates that wait train beside the one whose turn it is, and one after
# another. Both sessions are proposed the same specs, on the same threads, and must come to the same verdicts.
#   benchmarks/company.sh [PAIRS] [TRIALS]     5 pairs of sessions of 24 trials without them
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
cd "$root"
python3 benchmarks/measure/company.py --binary "$binary" --work "$work" --pairs "${1:-5}" --trials "${2:-24}"
