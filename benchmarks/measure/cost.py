"""Trains every example of the language, every family of nets and what neither shows (small batches, wide nets) on the demo
market, and compares the seconds that `check` estimated with the seconds that it took. Ends with 1 where they are far apart.

An estimate is of a machine that does nothing else: the faster of two runs counts.
"""

import re
import sys
from pathlib import Path
from typing import Any

import labs
import yaml
from program import arguments, json_of, note, show, show_machine, trial

FAMILIES = Path("benchmarks/specs/families")
EXAMPLES = Path("src/spec/examples.rs")
# Where a kind stands in a spec; in a list where the place says so. Other examples are fields of a spec.
PLACES = {
    "Block": ("network", True),
    "LossTerm": ("loss", True),
    "Optimizer": ("optimizer", False),
    "Curve": ("schedule", False),
    "Augment": ("augment", True),
}
SMALL = {"network": [{"dense": {"width": 8}}]}
# Examples are narrow, and their batches large: what a step costs however few its rows are is hidden there.
TWO_LAYERS = [{"dense": {"width": 128}}, {"dense": {"width": 64}}]
WIDE = [{"dense": {"width": 512}}, {"dense": {"width": 512}}]
SMALL_BATCH = {"training": {"batch_rows": 64}}
OTHERS = {
    "batch64": {"network": TWO_LAYERS} | SMALL_BATCH,
    "muon-batch64": {"network": TWO_LAYERS, "optimizer": {"muon": {"iterations": 12}}} | SMALL_BATCH,
    "adan-batch64": {"network": TWO_LAYERS, "optimizer": {"adan": {}}} | SMALL_BATCH,
    "lamb-batch64": {"network": TWO_LAYERS, "optimizer": {"lamb": {}}} | SMALL_BATCH,
    "noise-batch64": {"network": TWO_LAYERS, "optimizer": {"adamw": {}, "gradient_noise": {}}} | SMALL_BATCH,
    "muon-wide": {"network": WIDE, "optimizer": {"muon": {}}, "training": {"batch_rows": 1024}},
    "members32": {"network": [{"batch_ensemble": {"members": 32, "blocks": [{"dense": {"width": 32}}]}}]},
    "periodic-flat": {"network": [{"tokenize": {"width": 8, "embedding": {"periodic": {}}}}, {"pool": "flatten"}]},
}
# An estimate is linear in epochs, so what would take more than so many seconds trains for so few of them.
LONG = 8.0
FEW = 2
RUNS = 2
CLOSE = 2.0


def main() -> None:
    given = arguments(__doc__, ("names", {"nargs": "*", "help": "only these, as Block.dense or plain"}))
    lab = labs.make(given.binary, given.work, "demo", seeds=labs.SEEDS[:3])
    # Measured anew, by this program on this machine.
    (lab / ".autoresearch" / "rates.json").unlink(missing_ok=True)
    show_machine(given.binary)
    show(f"Demo market, 60 features, 4 targets, 3 seeds, 4 folds; all epochs, or {FEW} where they take more than")
    show(f"{LONG:g} s. Seconds of `check` and of `trial`.")
    show()
    show(f"{'what':<40}{'estimate':>10}{'trial':>10}{'ratio':>8}")
    ratios = {}
    for name, spec in specs().items():
        if given.names and name not in given.names:
            continue
        path = given.work / f"cost-{name}.yaml"
        path.write_text(yaml.safe_dump(spec, sort_keys=False))
        estimate = foreseen(given.binary, lab, path)
        if estimate > LONG and spec["training"].get("epochs", 20) > FEW:
            path.write_text(yaml.safe_dump(training(spec, epochs=FEW), sort_keys=False))
            estimate = foreseen(given.binary, lab, path)
        seconds = min(trial(given.binary, lab, path)["wall_seconds"] for _ in range(RUNS))
        ratios[name] = estimate / seconds
        note(f"{name}: {estimate:.1f} s estimated, {seconds:.1f} s")
        show(f"{name:<40}{estimate:>10.1f}{seconds:>10.1f}{ratios[name]:>8.2f}")
    far = {name: ratio for name, ratio in ratios.items() if not 1 / CLOSE <= ratio <= CLOSE}
    worst = max(ratios, key=lambda name: max(ratios[name], 1 / ratios[name]))
    show()
    show(f"{len(ratios) - len(far)} of {len(ratios)} within a factor of {CLOSE:g}; the worst is {worst}, {ratios[worst]:.2f}")
    if far:
        sys.exit(f"further off than a factor of {CLOSE:g}: {', '.join(far)}")


def specs() -> dict[str, dict[str, Any]]:
    """Every example as a whole spec, every family, and what neither shows; none stops early."""
    found = {}
    entry = re.compile(r'\(\s*"(\w+)",\s*"(\w+)",\s*"((?:[^"\\]|\\.)*)",?\s*\)')
    for owner, word, text in entry.findall(EXAMPLES.read_text()):
        found[f"{owner}.{word}"] = SMALL | placed(owner, text)
    found |= {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FAMILIES.glob("*.yaml"))}
    found |= OTHERS
    return {name: training(spec, patience=None) for name, spec in found.items()}


def foreseen(binary: Path, lab: Path, path: Path) -> float:
    """The seconds that `check` says."""
    return json_of([binary, "--lab", lab, "--json", "check", path])["seconds"]


def training(spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The spec with these fields of its training."""
    return spec | {"training": spec.get("training", {}) | fields}


def placed(owner: str, text: str) -> dict[str, Any]:
    """The fields of a spec that an example fills: it is fields itself, a list of kinds, or a kind."""
    if text.startswith("{"):
        return yaml.safe_load(text)
    field, in_list = PLACES[owner]
    if text.startswith("["):
        return {field: yaml.safe_load(text)}
    kind = yaml.safe_load("{" + text + "}")
    return {field: [kind] if in_list else kind}


if __name__ == "__main__":
    main()
