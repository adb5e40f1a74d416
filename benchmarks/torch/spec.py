"""Reads a spec into its canonical form: every default filled in, as `autoresearch check SPEC --json` prints it.

A spec is expected to be valid; `autoresearch check` says what is wrong with one that is not.
"""

import re
from pathlib import Path
from typing import Any

import yaml

Tree = dict[str, Any]

DENSE: Tree = {"norm": "none", "activation": "relu", "dropout": 0.0, "init": "he_uniform", "bias": True}
# The other blocks that are measured; those that are a single word or number have no fields.
BLOCKS: Tree = {
    "gate": {"kind": "swiglu", "dropout": 0.0, "bias": True},
    "squeeze_excitation": {"ratio": 0.25},
    "cross": {"layers": 2, "rank": None},
    "mixture_of_experts": {"experts": 4, "top_k": None, "balance": 0.01},
    "tokenize": {"per": "feature", "width": 16, "embedding": "linear", "class_token": False},
    "attention": {"heads": 4, "dropout": 0.0},
    "tabnet": {
        "steps": 3,
        "width": 16,
        "attention_width": 16,
        "relaxation": 1.3,
        "sparsity": 1e-3,
        "shared": 2,
        "independent": 2,
    },
    "batch_ensemble": {"members": 16},
    "autoencoder": {"decoder": [], "weight": 0.1, "output": "code"},
    "parallel": {"combine": "concat"},
    "repeat": {"times": 2},
}
WEIGHTING: Tree = {"uniform": {}, "learned": {"temperature": 2.0}, "fixed": {}}
LOSS: Tree = {
    "pearson": {"weight": 1.0, "within": "batch"},
    "mse": {"weight": 1.0},
    "mae": {"weight": 1.0},
    "output_l2": {"weight": 2.5e-5},
    "weight_l2": {"weight": 2.5e-5},
}
OPTIMIZER: Tree = {
    "adamw": {"lr": 1e-3, "weight_decay": 1e-4, "beta1": 0.9, "beta2": 0.999, "clip_norm": None},
    "sgd": {"lr": 1e-2, "momentum": 0.9, "weight_decay": 0.0, "clip_norm": None},
}
SCHEDULE: Tree = {
    "constant": {},
    "polynomial": {"epochs": 30, "end_factor": 0.1, "power": 1.0},
    "cosine": {"end_factor": 0.0},
    "one_cycle": {"peak_at": 0.3, "start_factor": 0.04},
}
TRAINING: Tree = {"epochs": 20, "batch_rows": 2048, "patience": 5}
ENSEMBLE: Tree = {"members": 1, "aggregate": "mean"}


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2 and in the program."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read(path: Path) -> Tree:
    """The canonical form of the spec in this file."""
    raw = yaml.load(path.read_text(), _Loader)
    schedule = raw.get("schedule", "constant")
    if isinstance(schedule, str):
        schedule = {schedule: {}}
    warmup = {"warmup_epochs": schedule.get("warmup_epochs", 0.0)}
    curve = {word: fields for word, fields in schedule.items() if word != "warmup_epochs"}
    targets = {"train_on": "all", "weighting": "uniform"} | raw.get("targets", {})
    return {
        "version": 1,
        "features": {"sets": "all"} | raw.get("features", {}),
        "targets": targets | {"weighting": _canonical(_union(targets["weighting"], WEIGHTING))},
        "network": [_block(block) for block in raw["network"]],
        "loss": [_union(term, LOSS) for term in raw.get("loss", ["pearson"])],
        "optimizer": _union(raw.get("optimizer", "adamw"), OPTIMIZER),
        "schedule": _union(curve, SCHEDULE) | warmup,
        "training": TRAINING | raw.get("training", {}),
        "ensemble": ENSEMBLE | raw.get("ensemble", {}),
    }


def chosen(union: str | Tree) -> tuple[str, Any]:
    """The kind that a canonical union names, and its fields."""
    if isinstance(union, str):
        return union, {}
    return next((word, fields) for word, fields in union.items() if word != "warmup_epochs")


def _union(node: str | Tree, kinds: Tree) -> Tree:
    """`gelu` or `{ dense: {…} }`, as a map of the one kind to all its fields."""
    word, fields = chosen(node)
    return {word: kinds[word] | (fields or {})}


def _canonical(union: Tree) -> str | Tree:
    """A kind without fields is written as its bare word."""
    word, fields = chosen(union)
    return union if fields else word


def _block(block: str | Tree) -> Tree:
    word, fields = chosen(block)
    if word == "residual":
        return {"residual": [_block(inner) for inner in fields]}
    if word == "dense":
        return {"dense": DENSE | fields}
    if word not in BLOCKS:
        return {word: fields}
    fields = BLOCKS[word] | (fields or {})
    for within in ("expert", "blocks", "encoder", "decoder"):
        if within in fields:
            fields[within] = [_block(inner) for inner in fields[within]]
    if "branches" in fields:
        fields["branches"] = [[_block(inner) for inner in branch] for branch in fields["branches"]]
    return {word: fields}
