#!/usr/bin/env bash
# Compares what `check` estimates of seconds with what `trial` takes, for every example, family of nets, small batches and
# wide nets. Ends with 1 where one is far off.
#   benchmarks/cost.sh [NAME ...]
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure cost "$@"
