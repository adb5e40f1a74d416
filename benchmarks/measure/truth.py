"""Runs torch/truth.py on the demo market, under twelve seeds."""

import subprocess
import sys

import labs
from program import arguments, show_machine


def main() -> int:
    given = arguments(__doc__)
    lab = labs.make(given.binary, given.work, "demo", seeds=labs.SEEDS[:3])
    show_machine(given.binary)
    command = [sys.executable, "benchmarks/torch/truth.py", "--lab", lab, "--spec", "benchmarks/specs/truth.yaml"]
    command += ["--seeds", ",".join(map(str, labs.SEEDS)), "--program", given.binary.resolve()]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
