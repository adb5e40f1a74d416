"""Runs the programs that are compared, and says on which machine."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

Facts = dict[str, Any]


def arguments(doc: str, *add: tuple[str, dict[str, Any]]) -> argparse.Namespace:
    """The arguments that setup.sh passes, and a program's own."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="the autoresearch program")
    parser.add_argument("--work", type=Path, required=True, help="the folder for labs and files")
    for name, options in add:
        parser.add_argument(name, **options)
    return parser.parse_args()


def trial(binary: Path, lab: Path, spec: Path, *words: str) -> Facts:
    """What `autoresearch trial --json` says of a spec."""
    return json_of([binary, "--lab", lab, "--json", "trial", spec.resolve(), *words])


def torch(lab: Path, spec: Path, *words: str, program: str = "speed.py") -> Facts:
    """What speed.py says of a spec."""
    return json_of([sys.executable, f"benchmarks/torch/{program}", "--lab", lab, "--spec", spec, *words])


def json_of(command: list[str | Path]) -> Facts:
    """What a program prints; it has failed if it prints anything but JSON. Its messages are shown only then."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def note(text: str) -> None:
    """Progress, to standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def show(text: str = "") -> None:
    """A line of the result."""
    print(text, flush=True)


def show_machine(binary: Path) -> None:
    """The machine, the versions and the date, as every result begins."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in cpu.splitlines())}
    flags = set(lines.get("flags", "").split())
    known = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"]
    sets = ", ".join(name for name in known if name in flags) or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ours = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or "no git"
    show(f"date     {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    show(f"machine  {lines.get('model name', platform.processor())}, {os.cpu_count()} cores, {sets}, {memory:.0f} GiB")
    show(f"ours     {ours}, commit {commit}")
    packages = [f"{name} {version(name)}" for name in ("torch", "numpy", "numerai-tools")]
    show(f"theirs   {', '.join(packages)}, Python {platform.python_version()}")
    show()


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)
