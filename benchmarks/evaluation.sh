#!/usr/bin/env bash
# Our evaluation (CORR and BMC of every era and seed) against numerai-tools', on the same predictions.
#   benchmarks/evaluation.sh [PAIRS]     5 pairs without it
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
(cd "$root" && cargo bench --locked --bench evaluation --no-run >&2)
measure evaluation --pairs "${1:-5}"
