#!/usr/bin/env bash
# The gate on simulated scores, over thousands of trials whose truth is known: how honest its standard errors are, how many
# false keeps a night of nulls has, what it finds, what its settings cost, what racing saves.
#   benchmarks/gate.sh [NIGHTS] [TABLE]     1000 nights without it; TABLE: coverage, nulls, discoveries, power, thrift, racing
set -euo pipefail
. "$(dirname "$0")/setup.sh"
cd "$root"
cargo bench --locked --bench gate --no-run >&2
echo "# benchmarks/gate.sh ${1:-1000} ${2:-all}, commit $(git describe --always --dirty)"
cargo bench --quiet --locked --bench gate -- "${1:-1000}" "${2:-all}"
