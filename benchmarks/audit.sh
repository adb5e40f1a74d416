#!/usr/bin/env bash
# The gate put to the test with real trainings of the demo market: proposals that change nothing, at the program's settings
# and at a level at which false keeps can be seen; and planted gains.
#   benchmarks/audit.sh [PROPOSALS]     100 without it; of each planted size a third
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_binary
proposals=${1:-100}
lab=$work/audit
rm -rf "$lab"
"$binary" init "$lab" --preset demo >/dev/null
cd "$lab"
# One trial, so that the incumbent is a net worth the name.
"$binary" run --trials 1 >/dev/null 2>&1
echo "# benchmarks/audit.sh $proposals, commit $(git -C "$root" describe --always --dirty), $(nproc) cores"
echo
echo "## Proposals that change nothing but the seeds, at the program's settings"
"$binary" audit --null "$proposals" 2>/dev/null
echo
echo "## Planted gains, at the program's settings"
"$binary" audit --planted --proposals "$((proposals / 3))" 2>/dev/null
echo
echo "## Proposals that change nothing, at 5 % each over three seeds (control: none, futility: 0, most_seeds: 3): false keeps"
echo "## are to be seen here, about 5 in 100; incumbent under 48 seeds, so that its own luck matters little"
sed -i 's/^  control: familywise /  control: none /; s/^  futility: [0-9.]*/  futility: 0/; s/^  incumbent_seeds: [0-9]*/  incumbent_seeds: 48/
  s/^  most_seeds: null/  most_seeds: 3/' autoresearch.yaml
git commit -qam "A gate that spends 5 % on each trial, over three seeds"
"$binary" audit --null "$((proposals * 2))" 2>/dev/null
