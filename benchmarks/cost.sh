#!/usr/bin/env bash
# Compares what `check` estimates of seconds with what `trial` takes, for every example and family of nets.
#   benchmarks/cost.sh [NAME ...]
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure cost "$@"
