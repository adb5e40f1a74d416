#!/usr/bin/env bash
# Training rows a second on the CPU, ours and PyTorch's, on the reference net and the bench data.
#   benchmarks/cpu.sh [PAIRS]     5 pairs without it
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure cpu --pairs "${1:-5}"
