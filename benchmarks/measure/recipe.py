"""Evaluates the shipped baseline, the recipe with one net and with four, under twelve seeds, and compares them in pairs."""

import math
import statistics
from pathlib import Path

import labs
from program import arguments, note, show, show_machine, trial

SPECS = Path("benchmarks/specs")


def main() -> None:
    given = arguments(__doc__)
    lab = labs.make(given.binary, given.work, "demo", seeds=labs.SEEDS)
    show_machine(given.binary)
    # The shipped baseline is the one that a new lab has; the repository's own may have evolved.
    specs = {
        "baseline": lab / "model.yaml",
        "recipe, 1 net": SPECS / "recipe-single.yaml",
        "recipe, 4 nets": SPECS / "recipe.yaml",
    }
    payouts = {}
    for name, spec in specs.items():
        note(name)
        seeds = trial(given.binary, lab, spec)["seeds"]
        payouts[name] = {seed["seed"]: seed["payout"] for seed in seeds}
    show(f"Payout on the demo market by seed, {len(labs.SEEDS)} seeds, and mean ± standard error.")
    show()
    show(f"{'seed':>6} " + " ".join(f"{name:>16}" for name in payouts))
    for seed in labs.SEEDS:
        show(f"{seed:>6} " + " ".join(f"{of[seed]:>16.5f}" for of in payouts.values()))
    show(f"{'mean':>6} " + " ".join(f"{said(list(of.values())):>16}" for of in payouts.values()))
    show()
    for better, worse in (("recipe, 4 nets", "baseline"), ("recipe, 4 nets", "recipe, 1 net")):
        gains = [payouts[better][seed] - payouts[worse][seed] for seed in labs.SEEDS]
        mean, error = moments(gains)
        verdict = "yes" if mean > 2 * error else "no"
        show(f"{better} beat {worse} by more than two standard errors: {verdict}, {mean:+.5f} ± {error:.5f}")


def moments(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def said(values: list[float]) -> str:
    mean, error = moments(values)
    return f"{mean:.5f} ± {error:.4f}"


if __name__ == "__main__":
    main()
