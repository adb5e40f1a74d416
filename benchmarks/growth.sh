#!/usr/bin/env bash
# How cost grows with rows, features and nets; the memory of a trial; what starting one costs.
#   benchmarks/growth.sh
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure growth
