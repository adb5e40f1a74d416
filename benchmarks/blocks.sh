#!/usr/bin/env bash
# Every block, norm, activation, loss and optimizer: rows a second, ours and PyTorch's, the worst ratio last.
#   benchmarks/blocks.sh [NAME …]     only these variants
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure blocks --only "$@"
