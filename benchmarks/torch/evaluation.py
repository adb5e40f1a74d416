"""Times numerai-tools on a file of out-of-fold predictions, as `autoresearch trial --predictions` writes it.

    evaluation.py --lab LAB --predictions P.parquet

Prints one JSON line. Reading the files and joining them by id is not counted; all seeds of an era are scored in one
call, which is the fastest way that numerai-tools offers.
"""

import argparse
import json
import time
from pathlib import Path

import pandas as pd

from data import Lab
from scoring import by_seed, era_frames, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    arguments = parser.parse_args()
    lab = Lab(arguments.lab)
    frames = era_frames(lab, pd.read_parquet(arguments.predictions))
    started = time.perf_counter()
    scores = score(frames)
    seconds = time.perf_counter() - started
    payout = by_seed(lab, scores)["payout"].mean()
    print(json.dumps({"seconds": seconds, "eras_scored": len(scores), "payout": payout}))


if __name__ == "__main__":
    main()
