"""Trains one variant of the language after another with us and with PyTorch, on the same data, and compares the speed.

PyTorch runs eagerly first. It is compiled where eager is less than three times slower than we are: compiling takes
longer than all else together, and gains less than that.
"""

from pathlib import Path
from typing import Any

import yaml

import labs
from program import arguments, median, note, show, show_machine, torch, trial

GOAL = 0.7
ACTIVATIONS = ["gelu", "silu", "mish", "selu", "elu", "leaky_relu", "tanh", "softplus", "identity"]


def spec(**changes: Any) -> dict[str, Any]:
    """Dense 256-128, everything else as plain as it can be."""
    return {
        "network": [dense(256), dense(128)],
        "loss": ["pearson"],
        "training": {"epochs": 2, "batch_rows": 4096, "patience": None},
    } | changes


def dense(width: int, **fields: Any) -> dict[str, Any]:
    return {"dense": {"width": width} | fields}


def both(**fields: Any) -> dict[str, Any]:
    """Both layers with these fields."""
    return spec(network=[dense(256, **fields), dense(128, **fields)])


def variants() -> dict[str, dict[str, Any]]:
    """The base, and one thing varied at a time."""
    trained = {"epochs": 4, "batch_rows": 4096, "patience": 3}
    era = {"pearson": {"within": "era"}}
    return {
        "base": spec(),
        "no bias": both(bias=False),
        "norm batch": both(norm="batch"),
        "norm layer": both(norm="layer"),
        **{f"activation {name}": both(activation=name) for name in ACTIVATIONS},
        "dropout 0.2": both(dropout=0.2),
        "residual": spec(network=[dense(256), {"residual": [dense(256)]}, dense(128)]),
        "residual, width changes": spec(network=[dense(256), {"residual": [dense(128)]}]),
        **blocks(),
        "init lecun_normal": both(init="lecun_normal"),
        "batch, gelu, dropout": both(norm="batch", activation="gelu", dropout=0.2),
        "layer, silu, dropout": both(norm="layer", activation="silu", dropout=0.2),
        "loss pearson by era": spec(loss=[era]),
        "loss mse": spec(loss=["mse"]),
        "loss mae": spec(loss=["mae"]),
        "loss with output_l2": spec(loss=["pearson", "output_l2"]),
        "loss with weight_l2": spec(loss=["pearson", "weight_l2"]),
        "loss of four terms": spec(loss=["pearson", "mse", "output_l2", "weight_l2"]),
        "optimizer adamw, clip": spec(optimizer={"adamw": {"clip_norm": 1.0}}),
        "optimizer sgd": spec(optimizer="sgd"),
        "optimizer sgd, clip": spec(optimizer={"sgd": {"clip_norm": 1.0}}),
        "schedule cosine, warm-up": spec(schedule={"cosine": {}, "warmup_epochs": 0.5}),
        "targets learned": spec(targets={"weighting": {"learned": {}}}),
        "one target": spec(targets={"train_on": ["target_ender_60"]}),
        "early stopping": spec(training=trained),
    }


def blocks() -> dict[str, dict[str, Any]]:
    """Every other block; those of tokens on 60 features, because their cost grows with the square of them."""
    linear = {"activation": "identity"}
    tabular = {"residual": [{"norm": "batch"}, dense(256, dropout=0.2), dense(128, **linear)]}
    former = [
        {"residual": [{"norm": "layer"}, {"attention": {"heads": 4, "dropout": 0.1}}]},
        {"residual": [{"norm": "layer"}, {"gate": {"width": 24, "kind": "reglu"}}, dense(16, **linear)]},
    ]
    tokens = [{"tokenize": {"width": 16, "class_token": True}}, *former, {"pool": "first"}]
    few = {"features": {"sets": ["serenity"]}, "training": {"epochs": 2, "batch_rows": 1024, "patience": None}}
    ensemble = {"members": 8, "blocks": [dense(128, dropout=0.1), dense(64, dropout=0.1)]}
    return {
        "gate": spec(network=[{"gate": {"width": 256, "dropout": 0.2}}, {"gate": {"width": 128}}]),
        "resnet of norm blocks": spec(
            network=[dense(128, **linear), tabular, tabular, {"norm": "batch"}, {"activation": "relu"}]
        ),
        "activation prelu": spec(
            network=[dense(256, **linear), {"activation": "prelu"}, dense(128, **linear), {"activation": "prelu"}]
        ),
        "squeeze_excitation": spec(network=[dense(256), "squeeze_excitation", dense(128)]),
        "cross": spec(network=[{"cross": {"layers": 3}}, dense(128)]),
        "cross beside dense": spec(
            network=[{"parallel": {"branches": [[{"cross": {"layers": 2}}], [dense(256), dense(128)]]}}]
        ),
        "mixture_of_experts": spec(
            network=[{"mixture_of_experts": {"experts": 4, "top_k": 2, "expert": [dense(128), dense(64)]}}]
        ),
        "tokenize": spec(network=[{"tokenize": {"width": 16}}, {"pool": "mean"}, dense(128)]) | few,
        "ft-transformer": spec(network=tokens) | few,
        "tabnet": spec(network=["tabnet"]),
        "batch_ensemble": spec(network=[{"batch_ensemble": ensemble}, dense(64)]),
        "autoencoder": spec(
            network=[{"autoencoder": {"encoder": [dense(128)], "decoder": [dense(128)], "output": "both"}}, dense(256)]
        ),
    }


def main() -> None:
    given = arguments(__doc__, ("--only", {"nargs": "*", "default": [], "metavar": "NAME"}))
    lab = labs.make(given.binary, given.work, "market-2400", labs.SEEDS[:3])
    path = given.work / "block.yaml"
    show_machine(given.binary)
    rows = []
    chosen = {name: variant for name, variant in variants().items() if not given.only or name in given.only}
    for number, (name, variant) in enumerate(chosen.items(), 1):
        note(f"{number} of {len(chosen)}: {name}")
        path.write_text(yaml.safe_dump(variant))
        # Early stopping costs a look at the watched eras after each epoch: a step does not show that, a net does.
        whole = ["--protocol", "--limit-replicas", "2"] if variant["training"]["patience"] else []

        def ours() -> float:
            return trial(given.binary, lab, path)["rows_per_second"]

        def theirs(way: str) -> float:
            return torch(lab, path, "--mode", way, *whole)["rows_per_second"]

        own = [ours()]
        eager = theirs("eager")
        own.append(ours())
        compiled = theirs("compiled") if own[-1] < 3 * eager else None
        own.append(ours())
        speed, best = median(own), max(eager, compiled or 0.0)
        rows.append((speed / best, name, speed, eager, compiled))
    show("Rows a second. Ours: median of 3 trials of 12 nets, predicting and scoring included. PyTorch: the median of 40")
    show("training steps (early stopping: whole nets), eager, and compiled where eager is not three times slower than")
    show("we are. Dense 256-128 on 240 features and 20 targets, batches of 4096, one thing varied. Worst ratio last.")
    show()
    show(f"{'variant':>26} {'ours':>9} {'eager':>9} {'compiled':>9} {'ratio':>7}")
    for ratio, name, speed, eager, compiled in sorted(rows, reverse=True):
        shown = f"{compiled:.0f}" if compiled else "-"
        show(f"{name:>26} {speed:>9.0f} {eager:>9.0f} {shown:>9} {ratio:>7.2f}")
    worst, name = min(row[:2] for row in rows)
    show()
    show(f"worst of {len(rows)}: {name}, {worst:.2f} of PyTorch's faster mode (goal: at least {GOAL})")


if __name__ == "__main__":
    main()
