"""Scores the out-of-fold predictions of the reference trial: the harness and numerai-tools in turn, several times."""

import sys
from pathlib import Path

import labs
from data import Lab
from program import arguments, json_of, median, note, show, show_machine, trial

SPEC = Path("benchmarks/specs/reference.yaml")
SAME = 1e-9


def main() -> None:
    given = arguments(__doc__, ("--pairs", {"type": int, "default": 5}))
    lab = labs.make(given.binary, given.work, "bench", seeds=labs.SEEDS[:3])
    predictions = given.work / "predictions.parquet"
    note("the reference trial")
    trained = trial(given.binary, lab, SPEC, "--predictions", str(predictions))
    ours = ["cargo", "bench", "--quiet", "--locked", "--bench", "evaluation", "--", lab.resolve(), predictions.resolve()]
    theirs = [sys.executable, "benchmarks/torch/evaluation.py", "--lab", lab, "--predictions", predictions]

    show_machine(given.binary)
    rows, eras = len(Lab(lab).score), len(trained["eras"])
    show(f"Seconds for CORR and BMC of {eras} eras, {rows} rows, and 3 seeds. Ours: {trained['device']}; it also")
    show("correlates each ranking with the benchmark's and puts the evaluation together. numerai-tools: all seeds of an")
    show("era in one call. Reading and joining files is counted on neither side.")
    show()
    show(f"{'pair':>6} {'ours':>9} {'numerai-tools':>14} {'ratio':>7}")
    pairs, gap = [], 0.0
    for pair in range(1, given.pairs + 1):
        note(f"pair {pair} of {given.pairs}")
        own, other = json_of(ours), json_of(theirs)
        gap = max(gap, abs(own["payout"] - other["payout"]), abs(own["payout"] - trained["payout"]))
        pairs.append((own["seconds"], other["seconds"], other["seconds"] / own["seconds"]))
        show(f"{pair:>6} {pairs[-1][0]:>9.4f} {pairs[-1][1]:>14.3f} {pairs[-1][2]:>7.0f}")
    seconds, other, ratio = (median(list(column)) for column in zip(*pairs))
    show(f"{'median':>6} {seconds:>9.4f} {other:>14.3f} {ratio:>7.0f}")
    show()
    show(f"numerai-tools over ours, median of {len(pairs)} pairs: {ratio:.0f} (goal: at least 50)")
    share = 100 * seconds / trained["wall_seconds"]
    show(f"share of the trial of 3 epochs, {trained['wall_seconds']:.1f} s: {share:.2f} % (goal: under 2 %)")
    show(f"payouts of both, and of the trial, differ by {gap:.1e} (allowed {SAME:.0e})")
    if gap > SAME:
        raise SystemExit("the payouts are not the same")


if __name__ == "__main__":
    main()
