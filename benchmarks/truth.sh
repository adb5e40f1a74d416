#!/usr/bin/env bash
# The same spec trained by PyTorch and by us, on the same folds under the same 12 seeds: is the payout the same?
#   benchmarks/truth.sh
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure truth
