"""Trains the write-up's trial (40 epochs, 4 nets a cell) on the bench data on a GPU: ours and PyTorch's in turn."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import labs
from program import Facts, arguments, note, show, show_machine, torch, trial

SPEC = Path("benchmarks/specs/writeup.yaml")
PRECISIONS = ["fp32", "tf32", "bf16"]


def main() -> None:
    given = arguments(__doc__, ("--nets", {"type": int, "default": 4}))
    show_machine(given.binary)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    show(f"gpu      {subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]}")
    show()
    show("A trial of 4 folds, 3 seeds and 4 nets each, 40 epochs, on the bench data. Ours: training, predicting, scoring, and")
    show(f"the start of the process. PyTorch: training and predicting of the first {given.nets} nets in its fastest mode,")
    show("compilation left out, times 48 over that number. Ratio: PyTorch's seconds over ours, at the same precision.")
    show()
    show(f"{'precision':>9} {'ours s':>8} {'rows/s':>10} {'payout':>9} {'torch s':>8} {'rows/s':>10} {'mode':>15} {'ratio':>7}")
    for precision in PRECISIONS:
        note(f"{precision}: ours")
        own = tried(lambda: ours(given.binary, given.work, precision))
        note(f"{precision}: PyTorch")
        lab = given.work / "labs" / "bench"
        words = ["--device", "cuda", "--precision", precision, "--protocol", "--limit-replicas", str(given.nets)]
        theirs = tried(lambda: torch(lab, SPEC, *words))
        show(line(precision, own, theirs))


def ours(binary: Path, work: Path, precision: str) -> Facts:
    """A trial under this precision, on the GPU or not at all."""
    lab = labs.make(binary, work, "bench", labs.SEEDS[:3], device="cuda", precision=precision)
    facts = trial(binary, lab, SPEC)
    if not facts["device"].startswith("cuda"):
        raise SystemExit(f"trained on {facts['device']}, not on the GPU")
    return facts


def tried(measure: Callable[[], Facts]) -> Facts | None:
    """One precision that fails must not take the others with it; the reason is shown."""
    try:
        return measure()
    except (SystemExit, subprocess.CalledProcessError) as failure:
        note(str(failure))
        return None


def line(precision: str, own: Facts | None, theirs: Facts | None) -> str:
    """A row of the table; what failed is a dash."""
    cells = ["-"] * 7
    if own:
        cells[:3] = [f"{own['wall_seconds']:.1f}", f"{own['rows_per_second']:.0f}", f"{own['payout']:.5f}"]
    if theirs:
        cells[3:6] = [f"{theirs['seconds']:.1f}", f"{theirs['rows_per_second']:.0f}", theirs["mode"]]
    if own and theirs:
        cells[6] = f"{theirs['seconds'] / own['wall_seconds']:.2f}"
    widths = (8, 10, 9, 8, 10, 15, 7)
    return " ".join([f"{precision:>9}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths))])


if __name__ == "__main__":
    main()
