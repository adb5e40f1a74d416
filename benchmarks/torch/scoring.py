"""Scores predictions era by era with numerai-tools."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numerai_tools.scoring import correlation_contribution, numerai_corr

from data import Lab


@dataclass(frozen=True)
class EraFrames:
    """One era as numerai-tools takes it, all indexed by id: predictions [rows, seeds], target and benchmark [rows]."""

    era: int
    predictions: pd.DataFrame
    target: pd.Series
    benchmark: pd.Series


def era_frames(lab: Lab, predictions: pd.DataFrame) -> list[EraFrames]:
    """Joins predictions (id, era, fold, seed, prediction) with the lab's truth; every test row must be predicted.

    Raises ValueError where the predictions' ids, eras or folds are not those of the lab's own fold plan.
    """
    ids = np.array(lab.ids())
    frames = []
    for fold, plan in enumerate(lab.folds):
        rows = lab.rows(plan.test)
        eras = np.repeat(plan.test, [len(lab.spans[era]) for era in plan.test])
        own = predictions[predictions["fold"] == fold]
        columns = {}
        for seed, cell in own.groupby("seed", sort=False):
            same_ids = np.array_equal(cell["id"].to_numpy(str), ids[rows])
            if not same_ids or not np.array_equal(cell["era"].astype(int).to_numpy(), eras):
                raise ValueError(f"fold {fold}, seed {seed}: the rows are not the fold's test rows")
            columns[seed] = cell["prediction"].to_numpy(np.float64)
        wide = pd.DataFrame(columns, index=ids[rows])
        for era in plan.test:
            here, span = eras == era, lab.spans[era]
            index = ids[span.start : span.stop]
            target = pd.Series(lab.score[span.start : span.stop].astype(np.float64), index, name="target")
            benchmark = pd.Series(lab.benchmark[span.start : span.stop].astype(np.float64), index, name="benchmark")
            frames.append(EraFrames(era, wide[here], target, benchmark))
    return frames


def score(frames: list[EraFrames]) -> pd.DataFrame:
    """CORR and BMC of each era and seed: columns era, seed, corr, bmc."""
    scores = []
    for frame in frames:
        corr = numerai_corr(frame.predictions, frame.target)
        bmc = correlation_contribution(frame.predictions, frame.benchmark, frame.target)
        scores.append(pd.DataFrame({"era": frame.era, "seed": corr.index, "corr": corr.values, "bmc": bmc.values}))
    return pd.concat(scores, ignore_index=True)


def with_payout(lab: Lab, means: pd.DataFrame) -> pd.DataFrame:
    """Adds the payout to rows with corr and bmc."""
    corr, bmc = lab.payout_weights()
    return means.assign(payout=corr * means["corr"] + bmc * means["bmc"])


def by_seed(lab: Lab, scores: pd.DataFrame) -> pd.DataFrame:
    """corr, bmc and payout, means over eras, indexed by seed."""
    return with_payout(lab, scores.groupby("seed", sort=False)[["corr", "bmc"]].mean())


def by_era(lab: Lab, scores: pd.DataFrame) -> pd.DataFrame:
    """corr, bmc and payout, means over seeds, indexed by era."""
    return with_payout(lab, scores.groupby("era")[["corr", "bmc"]].mean())
