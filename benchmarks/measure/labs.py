"""The labs that are measured on, made once in the work folder and set up for each program that uses them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

SEEDS = [42, 17, 73, 5, 11, 23, 31, 99, 101, 102, 103, 104]


def market(rows: int) -> dict[str, Any]:
    """Changes of the bench protocol: 60 eras of so many rows, and feature sets of 60, 60 and 120 features."""
    names = "agnes alpha bravo caroline charlie claudia cyrusd delta echo ender jasper jeremy ralph rowan sam"
    names = [*names.split(), "teager2b", "tyler", "victor", "waldo", "xerxes"]
    columns = ["v52_lgbm_ender20", "v52_lgbm_ender60"]
    sets = {"serenity": 60, "wisdom": 60, "sunshine": 120}
    sizes = {
        "eras": 60,
        "rows": rows,
        "sets": [{"name": name, "features": features} for name, features in sets.items()],
        "targets": [f"target_{name}_60" for name in names],
        "benchmark": columns,
    }
    return {
        "data": {"synthetic": {"sizes": sizes, "seed": 1}},
        "features": {"sets": list(sets)},
        "benchmark": {"columns": columns},
        "holdout": {"eras": 10, "embargo": 16},
    }


# By name: the preset, and what is changed in its protocol.
LABS: dict[str, tuple[str, dict[str, Any]]] = {
    "demo": ("demo", {}),
    "bench": ("bench", {}),
    "market-1200": ("bench", market(1200)),
    "market-2400": ("bench", market(2400)),
    "market-4800": ("bench", market(4800)),
}


def make(binary: Path, work: Path, name: str, seeds: list[int], **settings: str) -> Path:
    """The folder of a lab whose protocol has these seeds and whose autoresearch.yaml these settings.

    The data does not depend on the seeds, so one lab serves all programs. No time limit: slow machines finish, too.
    """
    preset, changes = LABS[name]
    lab = work / "labs" / name
    if not (lab / "autoresearch.yaml").exists():
        subprocess.run([binary, "init", lab, "--preset", preset], check=True, stdout=subprocess.DEVNULL)
    protocol = lab / "prepare" / "protocol.yaml"
    wanted = yaml.safe_load(protocol.read_text()) | changes | {"seeds": seeds}
    protocol.write_text(yaml.safe_dump(wanted, sort_keys=False))
    config = lab / "autoresearch.yaml"
    config.write_text(configured(config.read_text(), settings))
    subprocess.run([binary, "--lab", lab, "prepare"], check=True, stdout=subprocess.DEVNULL)
    return lab


def configured(text: str, settings: dict[str, str]) -> str:
    """autoresearch.yaml with these values, and with those of the CPU where an earlier run set others."""
    wanted = {"device": "cpu", "precision": "null"} | settings
    text = re.sub(r"(?m)^  trial_seconds: \d+", "  trial_seconds: 86400", text)
    for key, value in wanted.items():
        text, found = re.subn(rf"(?m)^{key}: \S+", f"{key}: {value}", text)
        if not found and key in settings:
            raise SystemExit(f"autoresearch.yaml has no `{key}`: the lab was made by an older program; delete it")
    return text
