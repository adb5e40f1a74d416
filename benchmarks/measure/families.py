"""Trains each family of nets at about the same number of parameters, at three learning rates, under the same seeds."""

import json
import math
import os
import re
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import labs
from program import arguments, note, show, show_machine

SPECS = Path("benchmarks/specs/families")
# As the rates of one family are compared, so are those of every other: nobody is tuned more than anybody else.
RATES = [3e-4, 1e-3, 3e-3]
# Rates are compared on seeds of their own, so that the chosen one's score is not the luckiest of three.
CHOOSING = labs.SEEDS[9:]
REPORTED = labs.SEEDS[:5]


def main() -> None:
    given = arguments(__doc__, ("families", {"nargs": "*", "help": "only these, by the names of their files"}))
    names = given.families or [path.stem for path in sorted(SPECS.glob("*.yaml"))]
    show_machine(given.binary)
    at_rates = compared(names, given.binary, given.work)
    chosen = {name: max(payouts, key=lambda rate: payouts[rate]) for name, payouts in at_rates.items()}
    lab = labs.make(given.binary, given.work, "demo", seeds=REPORTED)
    rows = []
    for name in names:
        facts, seconds, memory = trained(given.binary, lab, at_rate(name, chosen[name], given.work))
        note(f"{name}: {facts['payout']:.4f} in {seconds:.0f} s")
        rows.append((name, facts, seconds, memory))
    rows.sort(key=lambda row: -row[1]["payout"])
    show(f"Demo market, 60 features, 4 targets. Payout: mean ± standard error over {len(REPORTED)} seeds, 4 folds each. The")
    show(f"learning rate is the best of {', '.join(f'{rate:g}' for rate in RATES)} on {len(CHOOSING)} other seeds. Seconds and peak memory are of")
    show(f"the whole trial, {4 * len(REPORTED)} nets; \"at\" is the payout of a rate on the other seeds.")
    show()
    of_rates = "".join(f"{f'at {rate:g}':>11}" for rate in RATES)
    show(f"{'family':<16}{'parameters':>11}{of_rates}{'payout':>20}{'CORR':>9}{'BMC':>9}{'seconds':>9}{'MiB':>7}")
    for name, facts, seconds, memory in rows:
        payouts = [seed["payout"] for seed in facts["seeds"]]
        error = statistics.stdev(payouts) / math.sqrt(len(payouts))
        payout = f"{facts['payout']:.4f} ± {error:.4f}"
        corr, bmc = facts["corr"]["mean"], facts["bmc"]["mean"]
        of_rates = "".join(f"{payout:>11.4f}" for payout in at_rates[name].values())
        show(f"{name:<16}{facts['params']:>11,}{of_rates}{payout:>20}{corr:>9.4f}{bmc:>9.4f}{seconds:>9.1f}{memory:>7.0f}")


def compared(names: list[str], binary: Path, work: Path) -> dict[str, dict[float, float]]:
    """Payouts by family and rate. What is in the work folder is not trained again: it takes longer than all that follows."""
    lab = labs.make(binary, work, "demo", seeds=CHOOSING)
    path = work / "families-rates.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        for rate in RATES:
            if f"{rate:g}" not in known.setdefault(name, {}):
                payout = trained(binary, lab, at_rate(name, rate, work))[0]["payout"]
                note(f"{name} at {rate:g}: {payout:.4f}")
                known[name][f"{rate:g}"] = payout
                path.write_text(json.dumps(known))
    return {name: {rate: known[name][f"{rate:g}"] for rate in RATES} for name in names}


def at_rate(name: str, rate: float, work: Path) -> Path:
    """The family's spec with this learning rate."""
    text = (SPECS / f"{name}.yaml").read_text()
    text, found = re.subn(r"lr: \S+", f"lr: {rate:g}", text)
    if found != 1:
        raise SystemExit(f"{name}.yaml must say its learning rate once")
    spec = work / f"family-{name}-{rate:g}.yaml"
    spec.write_text(text)
    return spec


def trained(binary: Path, lab: Path, spec: Path) -> tuple[dict[str, Any], float, float]:
    """What `trial --json` says, the seconds of it, and the peak memory in MiB of it and what it started."""
    begun = time.monotonic()
    command = [binary, "--lab", lab, "--json", "trial", spec]
    # Messages go where the rest of the progress goes; only its own wait tells a child's memory from an earlier one's.
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with child.stdout as stdout:
        out = stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return json.loads(out), time.monotonic() - begun, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
