"""Measures how fast PyTorch trains a spec on a lab's data; prints one JSON line.

    speed.py --lab LAB --spec SPEC                  rows a second of training steps on fold 0
    speed.py --lab LAB --spec SPEC --protocol       seconds of the whole protocol, every fold, seed and member

Nothing else may run: two threads that wait for each other become ten times slower when a third wants their cores.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn

import spec as specs
from data import Lab
from net import HashedDropout
from training import Setting, Trainer

# Ways to run a step, by device: torch.compile's mode (None is eager) and the dropout. On a CPU, dropout's random
# numbers are worth replacing; on a GPU, CUDA graphs take away the cost of launching kernels.
WAYS = {
    "cpu": {
        "eager": (None, nn.Dropout),
        "compiled": ("default", nn.Dropout),
        "compiled-hashed": ("default", HashedDropout),
    },
    "cuda": {
        "eager": (None, nn.Dropout),
        "compiled": ("default", nn.Dropout),
        "compiled-graphs": ("reduce-overhead", nn.Dropout),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=40, help="steps measured")
    parser.add_argument("--warmup", type=int, default=10, help="steps before them, compilation included")
    parser.add_argument("--mode", choices=[*(WAYS["cpu"] | WAYS["cuda"]), "best"], default="best")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores without it")
    parser.add_argument("--protocol", action="store_true", help="train the whole protocol")
    parser.add_argument("--limit-replicas", type=int, help="with --protocol: train so many nets, extrapolate the rest")
    arguments = parser.parse_args()
    ways = WAYS[arguments.device]
    if arguments.mode not in [*ways, "best"]:
        parser.error(f"--mode {arguments.mode} is not for {arguments.device}")
    if arguments.precision == "tf32" and arguments.device == "cpu":
        parser.error("--precision tf32 is for cuda")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    lab, spec = Lab(arguments.lab), specs.read(arguments.spec)

    def trainer(way: str) -> Trainer:
        torch.compiler.reset()
        return Trainer(lab, spec, Setting(arguments.device, *ways[way], arguments.precision))

    tried = {}
    for way in ways if arguments.mode == "best" else [arguments.mode]:
        tried[way] = measure_steps(trainer(way), arguments.steps, arguments.warmup)
    fastest = max(tried, key=lambda way: tried[way]["rows_per_second"])
    facts = {"mode": fastest} | tried[fastest]
    if arguments.protocol:
        facts = {"mode": fastest} | measure_protocol(trainer(fastest), lab, spec, arguments.limit_replicas)
    if len(tried) > 1:
        facts["tried_ms_per_step"] = {way: measured["ms_per_step"] for way, measured in tried.items()}
    facts |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "precision": arguments.precision}
    facts |= {"device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"}
    print(json.dumps(facts))


def measure_steps(trainer: Trainer, steps: int, warmup: int) -> dict[str, float]:
    """The median step on fold 0's training rows, gathering included: milliseconds, and rows a second."""
    trainer.begin(fold=0, seed=0, member=0)
    clock = Clock(trainer.setting.device)
    done = 0
    while done < warmup + steps:
        for rows in trainer.order(fold=0)[: warmup + steps - done]:
            if done >= warmup:
                clock.tick()
            trainer.step(rows, trainer.lr)
            done += 1
    clock.tick()
    seconds = statistics.median(clock.seconds())
    return {"rows_per_second": trainer.plan.rows / seconds, "ms_per_step": 1e3 * seconds}


class Clock:
    """Seconds between ticks; on a GPU by its own events, so that no tick waits for it."""

    def __init__(self, device: str):
        self.is_cuda = device == "cuda"
        self.ticks: list[float | torch.cuda.Event] = []

    def tick(self) -> None:
        if self.is_cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.ticks.append(event)
        else:
            self.ticks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        pairs = zip(self.ticks, self.ticks[1:])
        if self.is_cuda:
            torch.cuda.synchronize()
            return [a.elapsed_time(b) / 1e3 for a, b in pairs]
        return [b - a for a, b in pairs]


def measure_protocol(trainer: Trainer, lab: Lab, spec: specs.Tree, limit: int | None) -> dict[str, float | int]:
    """Seconds of training every replica and predicting its test rows, and rows trained on a second.

    Compilation comes first and is counted apart. Beyond `limit` replicas, the mean of those measured stands for the
    others.
    """
    seeds, members = lab.protocol["seeds"], int(spec["ensemble"]["members"])
    replicas = [(fold, seed, member) for seed in seeds for fold in range(len(lab.folds)) for member in range(members)]
    chosen = replicas if limit is None else replicas[:limit]
    started = time.perf_counter()
    trainer.begin(*replicas[0])
    for rows in trainer.order(fold=0)[:3]:
        trainer.step(rows, trainer.lr)
    trainer.outputs(trainer.folds[0].test[:1])
    compiled = time.perf_counter()
    trained = sum(trainer.train(*replica)[1] for replica in chosen)
    measured = time.perf_counter() - compiled
    return {
        "seconds": measured * len(replicas) / len(chosen),
        "rows_per_second": trained / measured,
        "compile_seconds": compiled - started,
        "replicas_measured": len(chosen),
        "replicas_total": len(replicas),
    }


if __name__ == "__main__":
    main()
