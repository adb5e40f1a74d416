#!/usr/bin/env bash
# Who gets further in a night of simulated trials: the optimizer, random edits of the very same kinds, and a mix of the
# optimizer and a scripted stand-in for a language model, on four landscapes whose truth is known.
#   benchmarks/researchers.sh [SEEDS [TRIALS [LANDSCAPE …]]]     20 seeds, 60 trials, all four without them
set -euo pipefail
. "$(dirname "$0")/setup.sh"
cd "$root"
# No number depends on the profile, and the development one is built already.
cargo bench --profile dev --locked --bench researchers --no-run >&2
echo "# benchmarks/researchers.sh${*:+ $*}, commit $(git describe --always --dirty)"
cargo bench --quiet --profile dev --locked --bench researchers -- "$@"
