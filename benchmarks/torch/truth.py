"""Trains a spec in PyTorch and with autoresearch, on the same folds and seeds, and compares their payouts.

    truth.py --lab LAB --spec SPEC --seeds 42,17,73,5,11,23,31,99 [--program PATH] [--out PREDICTIONS.parquet]

Both sides draw their own random numbers, so single seeds differ; their means must not. Three checks, exit code 1 if
one fails: the folds are the same, numerai-tools scores the program's predictions as the program does (to 1e-6), and
the two mean payouts differ by at most two standard errors. Two sides that agree fail the last one in about one run of
fifteen with eight seeds.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

import spec as specs
from data import Lab
from scoring import by_era, by_seed, era_frames, score
from training import Setting, Trainer, combine_members

SAME_SCORE = 1e-6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], required=True)
    parser.add_argument("--program", default="autoresearch", help="the autoresearch program; found on PATH without it")
    parser.add_argument("--out", type=Path, help="keep PyTorch's predictions there")
    arguments = parser.parse_args()
    if len(arguments.seeds) < 5:
        parser.error("--seeds: at least five, or the standard error means little")
    lab, spec = Lab(arguments.lab), specs.read(arguments.spec)

    facts, predictions = run_program(arguments.program, arguments.lab, arguments.spec, spec, arguments.seeds)
    ours = score(era_frames(lab, predictions))
    print(f"folds: test eras and ids agree in all {len(lab.folds)} folds")
    gap = score_gap(lab, facts, ours)
    print(f"scoring: largest difference to numerai-tools {gap:.1e} (allowed {SAME_SCORE:.0e})")

    trained = train(lab, spec, arguments.seeds)
    if arguments.out:
        trained.to_parquet(arguments.out, index=False)
    theirs = score(era_frames(lab, trained))
    agrees = compare(by_seed(lab, ours), by_seed(lab, theirs))
    return 0 if agrees and gap <= SAME_SCORE else 1


def run_program(
    program: str, lab: Path, spec_path: Path, spec: specs.Tree, seeds: list[int]
) -> tuple[dict, pd.DataFrame]:
    """What `trial --json` says, and its predictions, on a copy of the lab whose protocol has these seeds."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lab"
        # Without the holdout, which no trial opens, and without the lock, which would refuse other seeds.
        unused = shutil.ignore_patterns("holdout", "raw", ".git", "logs", "protocol.lock")
        shutil.copytree(lab, copy, ignore=unused)
        protocol_path = copy / "prepare" / "protocol.yaml"
        protocol = yaml.safe_load(protocol_path.read_text()) | {"seeds": seeds}
        protocol_path.write_text(yaml.safe_dump(protocol))

        def ask(*words: str) -> dict:
            command = [program, "--lab", str(copy), "--json", *words]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

        canonical = ask("check", str(spec_path.resolve()))["canonical"]
        if canonical != spec:
            raise ValueError(f"the program reads the spec differently: {canonical}, here {spec}")
        predictions = Path(folder) / "predictions.parquet"
        facts = ask("trial", str(spec_path.resolve()), "--predictions", str(predictions))
        return facts, pd.read_parquet(predictions)


def score_gap(lab: Lab, facts: dict, scores: pd.DataFrame) -> float:
    """The largest absolute difference between the program's scores and these: of seeds, of eras, and in all."""
    gaps = []
    for key, own in (("seed", by_seed(lab, scores)), ("era", by_era(lab, scores))):
        said = pd.DataFrame(facts[key + "s"]).set_index(key)[["corr", "bmc", "payout"]]
        gaps.append((said - own.loc[said.index, said.columns]).abs().to_numpy().max())
    gaps.append(abs(facts["payout"] - by_seed(lab, scores)["payout"].mean()))
    return max(gaps)


def train(lab: Lab, spec: specs.Tree, seeds: list[int]) -> pd.DataFrame:
    """PyTorch's out-of-fold predictions: id, era, fold, seed, prediction."""
    # The nets are small: a second thread costs more in waiting than it saves.
    torch.set_num_threads(1)
    trainer = Trainer(lab, spec, Setting())
    ids = np.array(lab.ids())
    cells = []
    for seed in seeds:
        for fold, plan in enumerate(lab.folds):
            members = [trainer.train(fold, seed, member)[0] for member in range(int(spec["ensemble"]["members"]))]
            sizes = [len(lab.spans[era]) for era in plan.test]
            prediction = combine_members(members, spec["ensemble"]["aggregate"], sizes)
            eras = np.repeat([f"{era:04}" for era in plan.test], sizes)
            cell = {"id": ids[lab.rows(plan.test)], "era": eras, "fold": fold, "seed": seed, "prediction": prediction}
            cells.append(pd.DataFrame(cell))
    return pd.concat(cells, ignore_index=True)


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    """Prints the payouts by seed and their means; whether those agree within two standard errors."""
    print(f"\n{'seed':>12} {'autoresearch':>13} {'PyTorch':>10}   payout")
    for seed in ours.index:
        print(f"{seed:>12} {ours.payout[seed]:>13.5f} {theirs.payout[seed]:>10.5f}")
    for name in ("corr", "bmc", "payout"):
        a, b = ours[name], theirs[name]
        error = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        difference = a.mean() - b.mean()
        print(f"{'mean ' + name:>12} {a.mean():>13.5f} {b.mean():>10.5f}   difference {difference:+.5f}, ", end="")
        print(f"standard error {error:.5f} ({difference / error:+.2f})")
    # The last of the three is the payout, which the verdict is about.
    agrees = abs(difference) <= 2 * error
    print(f"\nagrees within two standard errors: {'yes' if agrees else 'no'}")
    return agrees


if __name__ == "__main__":
    sys.exit(main())
