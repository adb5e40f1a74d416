#!/usr/bin/env bash
# The write-up's trial on a GPU: ours in each precision and PyTorch's, one after another.
#   benchmarks/gpu.sh [NETS]     PyTorch trains 4 nets of each precision, and the rest is reckoned from them
# A build with CUDA needs nothing of CUDA; running needs the driver and NVRTC.
set -euo pipefail
if [ ! -e /proc/driver/nvidia/version ]; then
  echo "no NVIDIA driver is loaded on this machine (/proc/driver/nvidia/version is missing): nothing is measured" >&2
  exit 1
fi
. "$(dirname "$0")/setup.sh"
need_binary --features cuda
need_python
measure gpu --nets "${1:-4}"
