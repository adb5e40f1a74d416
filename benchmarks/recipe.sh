#!/usr/bin/env bash
# On the demo market: does the recipe that is known to work beat the shipped baseline, and do four nets beat one?
#   benchmarks/recipe.sh
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
need_python
measure recipe
