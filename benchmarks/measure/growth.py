"""Seconds of training at sizes ×1, ×2 and ×4, peak memory of the reference trial, and the cost of starting a trial."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

import labs
from data import Lab
from program import Facts, arguments, median, note, show, show_machine, trial

REFERENCE = Path("benchmarks/specs/reference.yaml")
SEEDS = labs.SEEDS[:3]
SETS = ["serenity", "wisdom", "sunshine"]
# Dense 256-128 as the reference is built; small enough that every size takes seconds.
SPEC: dict[str, Any] = {
    "network": [
        {"dense": {"width": width, "norm": "batch", "activation": "gelu", "dropout": 0.2}} for width in (256, 128)
    ],
    "loss": ["pearson"],
    "training": {"epochs": 3, "batch_rows": 2048, "patience": None},
}


def main() -> None:
    given = arguments(__doc__)
    markets = {rows: labs.make(given.binary, given.work, f"market-{rows}", SEEDS) for rows in (1200, 2400, 4800)}
    bench = labs.make(given.binary, given.work, "bench", SEEDS)
    spec = given.work / "growth.yaml"
    show_machine(given.binary)

    def measured(lab: Path, changes: dict[str, Any]) -> tuple[float, int]:
        """Median seconds of three trials, and the rows that they trained on."""
        spec.write_text(yaml.safe_dump(SPEC | changes))
        rows = rows_trained(Lab(lab), SPEC | changes)
        return median([rows / trial(given.binary, lab, spec)["rows_per_second"] for _ in range(3)]), rows

    show("Seconds of training and scoring, medians of 3 trials of 12 cells: dense 256-128, 3 epochs. The last column is the")
    show("growth in seconds over the growth in size: 1.00 is linear, less is better. Batches are whole, so the rows that are")
    show("trained on do not double exactly; they are what counts for the growth in rows.")
    show()
    show(f"{'what':>16} {'size':>10} {'seconds':>8} {'to linear':>10}")
    for what, sizes in (
        ("rows trained", [(None, markets[rows], {}) for rows in markets]),
        ("features", [(60 * 2**i, markets[2400], {"features": {"sets": SETS[: i + 1]}}) for i in range(3)]),
        ("ensemble members", [(n, markets[1200], {"ensemble": {"members": n}}) for n in (1, 2, 4)]),
    ):
        first = None
        for size, lab, changes in sizes:
            note(f"{what} {size or lab.name}")
            seconds, rows = measured(lab, changes)
            size = size or rows
            first = first or (size, seconds)
            show(f"{what:>16} {size:>10} {seconds:>8.2f} {seconds / first[1] / (size / first[0]):>10.2f}")
    show()
    note("memory of the reference trial")
    peak = peak_memory([given.binary, "--lab", bench, "--json", "trial", REFERENCE]) / 2**30
    show(f"peak memory of the reference trial on the bench data: {peak:.2f} GiB, mapped files included (goal: under 2)")
    note("starting")
    show_starts(given.binary, bench, spec)


def rows_trained(lab: Lab, spec: dict[str, Any]) -> int:
    """Rows that a trial without early stopping takes gradients of: whole batches, as many as the smallest fold has."""
    wanted = spec["training"]["batch_rows"]
    smallest = min(sum(len(lab.spans[era]) for era in fold.train) for fold in lab.folds)
    rows = min(wanted, smallest)
    nets = len(lab.folds) * len(lab.protocol["seeds"]) * spec.get("ensemble", {}).get("members", 1)
    return smallest // rows * rows * spec["training"]["epochs"] * nets


def peak_memory(command: list[str | Path]) -> int:
    """The most bytes that a command and the processes it starts have held, each at its own peak, added up."""
    peaks: dict[int, int] = {}
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None:
        for pid in family(running.pid):
            peaks[pid] = max(peaks.get(pid, 0), high_water(pid))
        time.sleep(0.1)
    if running.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {running.returncode}")
    return sum(peaks.values())


def family(pid: int) -> list[int]:
    """A process and those that it has started."""
    try:
        children = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(member for line in children for child in line for member in family(int(child)))]


def high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def show_starts(binary: Path, lab: Path, spec: Path) -> None:
    """Wall time of a whole command beyond its training; and of one request to a worker that runs already."""
    small = SPEC | {"training": {"epochs": 1, "batch_rows": 8192, "patience": None}}
    spec.write_text(yaml.safe_dump(small | {"network": [{"dense": {"width": 16}}]}))
    rows, cold = rows_trained(Lab(lab), small), []
    for _ in range(7):
        started = time.perf_counter()
        facts = trial(binary, lab, spec)
        cold.append(time.perf_counter() - started - rows / facts["rows_per_second"])
    show(f"starting: `trial` on the bench data beyond its training, median of {len(cold)}: {1e3 * median(cold):.0f} ms")
    warm = warm_starts(binary, lab, spec)
    show(f"starting: a trial in a session's worker beyond its training, median of {len(warm)}: {1e3 * median(warm):.0f} ms")
    show("          (goal: under 300 ms; the first holds process start, data and device, the second only the request)")


def warm_starts(binary: Path, lab: Path, spec: Path) -> list[float]:
    """Seconds from a request to its end, less those until the last cell was scored: messages of src/worker/wire.rs."""
    packed = lab / ".autoresearch" / "data" / "packed"
    command = [binary, "worker", "--protocol", lab / "prepare" / "protocol.yaml", "--packed", packed, "--device", "cpu"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdin and worker.stdout

    def reply() -> Facts:
        return json.loads(worker.stdout.readline())

    ready = reply()
    if ready["event"] != "ready":
        raise SystemExit("the worker did not start")
    cells = [{"fold": fold, "seed": seed} for seed in SEEDS for fold in range(len(ready["facts"]["folds"]))]
    request = {"request": "train", "spec": spec.read_text(), "cells": cells, "predictions": None, "exposure": False}
    extra = []
    for _ in range(7):
        started, trained = time.perf_counter(), 0.0
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        while (said := reply())["event"] != "done":
            if said["event"] == "failed":
                raise SystemExit(f"the worker failed: {said['message']}")
            trained = max(trained, said.get("seconds", 0.0))
        extra.append(time.perf_counter() - started - trained)
    worker.stdin.close()
    worker.wait()
    return extra


if __name__ == "__main__":
    main()
