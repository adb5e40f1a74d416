"""A lab's packed data and its folds, read without the program. The holdout is never opened."""

import json
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

PRESETS = {"numerai-2026-01": (0.75, 2.25), "numerai-1343": (3.0, 15.0)}


@dataclass(frozen=True)
class Fold:
    """Era numbers, ascending, that a fold trains on and is tested on."""

    train: list[int]
    test: list[int]


class Lab:
    """The packed data of a lab.

    features: u8 [rows, features], 0 to 4
    targets: f32 [rows, targets], 0 to 1, NaN where missing
    score, benchmark: f32 [rows], the scoring target and the mean of the benchmark columns
    """

    def __init__(self, path: Path):
        packed = path / ".autoresearch" / "data" / "packed"
        self.packed = packed
        self.protocol: dict[str, Any] = yaml.safe_load((path / "prepare" / "protocol.yaml").read_text())
        self.manifest: dict[str, Any] = json.loads((packed / "manifest.json").read_text())
        rows = self.manifest["open"]["rows"]
        self.feature_names: list[str] = self.manifest["features"]
        self.target_names: list[str] = self.manifest["targets"]
        self.features = np.memmap(packed / "features.u8", np.uint8, "r", shape=(rows, len(self.feature_names)))
        self.targets = np.memmap(packed / "targets.f32", np.float32, "r", shape=(rows, len(self.target_names)))
        self.score = np.fromfile(packed / "score.f32", np.float32, rows)
        self.benchmark = np.fromfile(packed / "benchmark.f32", np.float32, rows)
        self.spans: dict[int, range] = {}
        start = 0
        for era in self.manifest["open"]["eras"]:
            self.spans[era["era"]] = range(start, start + era["rows"])
            start += era["rows"]
        self.embargo: int = self.protocol["folds"]["embargo"]
        self.folds = folds(self._retained(), self.protocol)
        if [era for fold in self.folds for era in fold.test] != list(self.spans):
            raise ValueError("the folds' test eras are not the packed eras")

    def ids(self) -> list[str]:
        """Ids of all rows."""
        return (self.packed / "ids.txt").read_text().split()

    def rows(self, eras: list[int]) -> np.ndarray:
        """Row numbers of these eras, i64."""
        return np.concatenate([np.arange(self.spans[era].start, self.spans[era].stop) for era in eras])

    def payout_weights(self) -> tuple[float, float]:
        """What CORR and BMC count in the payout."""
        objective = self.protocol["objective"]
        return PRESETS[objective["preset"]] if "preset" in objective else (objective["corr"], objective["bmc"])

    def _retained(self) -> list[int]:
        """Numbers of all retained eras, those of the holdout included: folds depend on them."""
        held = [era["era"] for era in self.manifest["holdout"]["eras"]]
        return sorted([*self.spans, *self.manifest["holdout_embargoed"], *held])


def folds(eras: list[int], protocol: dict[str, Any]) -> list[Fold]:
    """Contiguous test blocks over the eras before the holdout; train eras keep the embargo from them."""
    rules = protocol["folds"]
    holdout = protocol.get("holdout") or {}
    held_count = holdout.get("eras", 50)
    open_eras, held = eras[: len(eras) - held_count], eras[len(eras) - held_count :]
    usable = purge(open_eras, held, holdout.get("embargo", rules["embargo"]))
    count = rules.get("count", 4)
    cuts = [block * len(usable) // count for block in range(count + 1)]
    plan = []
    for start, end in zip(cuts, cuts[1:]):
        test = usable[start:end]
        plan.append(Fold(purge(usable[:start] + usable[end:], test, rules["embargo"]), test))
    return plan


def purge(train: list[int], test: list[int], embargo: int) -> list[int]:
    """Those eras of `train` that are at least `embargo + 1` era numbers away from every era of `test`."""

    def is_far(era: int) -> bool:
        near = bisect_left(test, era - embargo)
        return near == len(test) or test[near] > era + embargo

    return [era for era in train if is_far(era)]


def inner_split(train: list[int], embargo: int) -> tuple[list[int], list[int]]:
    """Train eras to learn from, and the last 15 % to watch for early stopping, an embargo apart."""
    watched = max(int(len(train) * 0.15 + 0.5), 2)
    learn, watch = train[:-watched], train[-watched:]
    return purge(learn, watch, embargo), watch
