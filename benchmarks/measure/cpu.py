"""Training rows a second of the reference net on the bench data: ours and PyTorch's in turn, several times."""

from pathlib import Path

import labs
from program import arguments, median, note, show, show_machine, torch, trial

SPEC = Path("benchmarks/specs/reference.yaml")
WAYS = ["eager", "compiled", "compiled-hashed"]


def main() -> None:
    given = arguments(__doc__, ("--pairs", {"type": int, "default": 5}))
    lab = labs.make(given.binary, given.work, "bench", seeds=labs.SEEDS[:3])
    show_machine(given.binary)
    show("Rows a second. Ours: a whole trial of 3 epochs, 4 folds and 3 seeds, predicting and scoring the test eras")
    show("included. PyTorch: the median of 40 training steps, nothing else. Tuned: compiled, and nn.Dropout replaced by a")
    show("hashed one written for it. Ratios: ours over the faster of eager and compiled, and over tuned.")
    show()
    show(f"{'pair':>6} {'ours':>9} {'eager':>9} {'compiled':>9} {'tuned':>9} {'ratio':>7} {'to tuned':>9}")
    pairs = []
    for pair in range(1, given.pairs + 1):
        note(f"pair {pair} of {given.pairs}")
        ours = trial(given.binary, lab, SPEC)["rows_per_second"]
        theirs = [torch(lab, SPEC, "--mode", way)["rows_per_second"] for way in WAYS]
        pairs.append([ours, *theirs, ours / max(theirs[:2]), ours / theirs[2]])
        show_row(str(pair), pairs[-1])
    medians = [median(list(column)) for column in zip(*pairs)]
    show_row("median", medians)
    show()
    show(f"ours over the faster of PyTorch eager and compiled, median of {len(pairs)} pairs: {medians[4]:.2f}")
    show(f"ours over PyTorch tuned by hand, median of {len(pairs)} pairs: {medians[5]:.2f}")


def show_row(name: str, row: list[float]) -> None:
    speeds = " ".join(f"{speed:>9.0f}" for speed in row[:4])
    show(f"{name:>6} {speeds} {row[4]:>7.2f} {row[5]:>9.2f}")


if __name__ == "__main__":
    main()
