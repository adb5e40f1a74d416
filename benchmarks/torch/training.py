"""Trains the nets of a spec, one replica (fold, seed, member) after another, and combines their predictions."""

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from data import Lab, inner_split
from net import Loss, Net, factor, optimizer
from spec import Tree, chosen

PREDICT_ROWS = 4096
MOST_PART_ROWS = 1024


@dataclass(frozen=True)
class FoldRows:
    """Row ranges, one an era: learned from, watched for early stopping (empty without it), tested."""

    learn: list[range]
    watch: list[range]
    test: list[range]


@dataclass(frozen=True)
class BatchPlan:
    """How an epoch is cut into batches: `parts` runs of rows, of one era each if `parts_of` is their length."""

    rows: int
    steps: int
    parts: int
    parts_of: int | None


@dataclass(frozen=True)
class Setting:
    """Where and how to compute.

    device: cpu or cuda
    compiled: torch.compile's mode, or None for eager
    dropout: the module that drops units
    precision: fp32, tf32 or bf16 (autocast)
    """

    device: str = "cpu"
    compiled: str | None = None
    dropout: type[nn.Module] = nn.Dropout
    precision: str = "fp32"

    def autocast(self) -> AbstractContextManager:
        if self.precision == "bf16":
            return torch.autocast(self.device, torch.bfloat16)
        return nullcontext()


class Trainer:
    """One net, trained anew for each replica, so that what is compiled once serves all of them."""

    def __init__(self, lab: Lab, spec: Tree, setting: Setting):
        torch.set_float32_matmul_precision("high" if setting.precision == "tf32" else "highest")
        self.spec, self.setting = spec, setting
        columns = feature_columns(lab, spec)
        target_names = lab.target_names if spec["targets"]["train_on"] == "all" else spec["targets"]["train_on"]
        target_columns = [lab.target_names.index(name) for name in target_names]
        # Copies: a gather from memory-mapped files would be timed with page faults.
        features = np.array(lab.features if columns is None else lab.features[:, columns])
        targets = np.ascontiguousarray(lab.targets[:, target_columns])
        self.features = torch.from_numpy(features).to(setting.device)
        self.targets = torch.from_numpy(targets).to(setting.device)
        self.folds = [fold_rows(lab, spec, fold) for fold in range(len(lab.folds))]
        self.plan = batch_plan(spec, self.folds)
        self.net = Net(spec, features.shape[1], target_names, setting.dropout).to(setting.device)
        missing = bool(np.isnan(targets).any())
        self.loss = Loss(spec, self.net, self.plan.parts, missing).to(setting.device)
        self.loss_step, self.outputs_step = self.loss, self.net
        if setting.compiled is not None:
            self.loss_step = torch.compile(self.loss, mode=setting.compiled, dynamic=False)
            self.outputs_step = torch.compile(self.net, mode=setting.compiled, dynamic=False)
        self.clip_norm = chosen(spec["optimizer"])[1]["clip_norm"]

    def begin(self, fold: int, seed: int, member: int) -> None:
        """Starts a replica: every draw from here on follows from the three numbers."""
        torch.manual_seed(int(np.random.SeedSequence([seed, fold, member]).generate_state(1, np.uint64)[0] >> 1))
        self.net.restart()
        self.net.train()
        self.optimizer = optimizer(self.spec, self.net)
        self.lr = self.optimizer.param_groups[0]["lr"]

    def order(self, fold: int) -> Tensor:
        """The next epoch's batches: row numbers, i64 [steps, rows]."""
        learn, plan = self.folds[fold].learn, self.plan
        device = self.setting.device
        if plan.parts_of is None:
            rows = row_numbers(learn, device)
            rows = rows[torch.randperm(len(rows), device=device)]
        else:
            cut = []
            for era in learn:
                mixed = torch.randperm(len(era), device=device) + era.start
                cut.append(mixed[: len(era) // plan.parts_of * plan.parts_of].view(-1, plan.parts_of))
            parts = torch.cat(cut)
            rows = parts[torch.randperm(len(parts), device=device)].flatten()
        return rows[: plan.steps * plan.rows].view(plan.steps, plan.rows)

    def step(self, rows: Tensor, rate: float) -> Tensor:
        """One batch, its gathering included; the loss, a scalar left on the device. `rate` is the learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.setting.autocast():
            loss = self.loss_step(self.features.index_select(0, rows), self.targets.index_select(0, rows))
        loss.backward()
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def train(self, fold: int, seed: int, member: int) -> tuple[np.ndarray, int]:
        """Trains a replica; its prediction for the fold's test rows, f32 [rows], and the rows trained on."""
        self.begin(fold, seed, member)
        plan, rows = self.plan, self.folds[fold]
        patience = self.spec["training"]["patience"]
        best_score, best_epoch, best_state = -np.inf, 0, None
        trained = 0
        for epoch in range(int(self.spec["training"]["epochs"])):
            for step, batch in enumerate(self.order(fold)):
                rate = self.lr * factor(self.spec, epoch * plan.steps + step, plan.steps)
                self.step(batch, rate)
            trained += plan.steps * plan.rows
            if patience is None:
                continue
            score = self.watched_score(rows.watch)
            if score > best_score:
                best_score, best_epoch, best_state = score, epoch, copy.deepcopy(self.net.state_dict())
            elif epoch - best_epoch >= patience:
                break
        if best_state is not None:
            self.net.load_state_dict(best_state)
        outputs = self.outputs(rows.test)
        if not np.isfinite(outputs).all():
            raise ValueError(f"fold {fold}, seed {seed}, member {member} has diverged")
        weights = self.net.target_weights().detach().cpu().numpy()
        return combine_targets(outputs, weights, [len(era) for era in rows.test]), trained

    def outputs(self, eras: list[range]) -> np.ndarray:
        """The net's outputs, f32 [rows, targets]."""
        rows = row_numbers(eras, self.setting.device)
        # The last chunk is filled up with its last row, so that every chunk has the shape that was compiled.
        padded = torch.cat([rows, rows[-1].expand(-len(rows) % PREDICT_ROWS)])
        self.net.eval()
        with torch.no_grad(), self.setting.autocast():
            chunks = [
                self.outputs_step(self.features.index_select(0, chunk)).clone()
                for chunk in padded.split(PREDICT_ROWS)
            ]
        self.net.train()
        return torch.cat(chunks)[: len(rows)].cpu().numpy()

    def watched_score(self, eras: list[range]) -> float:
        """Mean over eras of the weighted mean over targets of the correlation of output and target."""
        outputs = self.outputs(eras)
        weights = self.net.target_weights().detach().cpu().numpy()
        targets = self.targets[row_numbers(eras, self.setting.device)].cpu().numpy()
        start, total = 0, 0.0
        for era in eras:
            span = slice(start, start + len(era))
            total += float(weights @ masked_correlations(outputs[span], targets[span]))
            start = span.stop
        return total / len(eras)


def feature_columns(lab: Lab, spec: Tree) -> list[int] | None:
    """Columns of the packed features that the net reads, ascending; None for all."""
    sets = spec["features"]["sets"]
    if sets == "all":
        return None
    known = dict(lab.manifest["feature_sets"])
    return sorted({column for name in sets for column in known[name]})


def fold_rows(lab: Lab, spec: Tree, fold: int) -> FoldRows:
    """The rows of a fold."""
    plan = lab.folds[fold]
    learn, watch = plan.train, []
    if spec["training"]["patience"] is not None:
        learn, watch = inner_split(plan.train, lab.embargo)
    spans = lab.spans
    return FoldRows(*[[spans[era] for era in eras] for eras in (learn, watch, plan.test)])


def batch_plan(spec: Tree, folds: list[FoldRows]) -> BatchPlan:
    """Cuts the smallest fold's rows; the same plan serves every fold."""
    wanted = int(spec["training"]["batch_rows"])
    if not any(chosen(term)[1].get("within") == "era" for term in spec["loss"]):
        smallest = min(sum(map(len, fold.learn)) for fold in folds)
        rows = min(wanted, smallest)
        return BatchPlan(rows, smallest // rows, 1, None)
    part = min(min(len(era) for fold in folds for era in fold.learn), wanted, MOST_PART_ROWS)
    parts_there = min(sum(len(era) // part for era in fold.learn) for fold in folds)
    parts = min(max(wanted // part, 1), parts_there)
    return BatchPlan(parts * part, parts_there // parts, parts, part)


def row_numbers(eras: list[range], device: str) -> Tensor:
    """Row numbers of row ranges, i64."""
    return torch.cat([torch.arange(era.start, era.stop, device=device) for era in eras])


def combine_targets(outputs: np.ndarray, weights: np.ndarray, eras: list[int]) -> np.ndarray:
    """Each target's output, standardized within its era, averaged by the targets' weights: f32 [rows].

    outputs: [rows, targets], weights: [targets], eras: rows of each era, one era after another
    """
    parts = np.split(outputs.astype(np.float64), np.cumsum(eras)[:-1])
    return np.concatenate([standardized(part) @ weights.astype(np.float64) for part in parts]).astype(np.float32)


def combine_members(members: list[np.ndarray], how: str, eras: list[int]) -> np.ndarray:
    """One prediction a row, f32 [rows], from each member's: the mean of standardized values, or of ranks, by era."""
    if len(members) == 1:
        return members[0]
    cuts = np.cumsum(eras)[:-1]
    each = standardized if how == "mean" else ranks
    combined = [np.concatenate([each(part.astype(np.float64)) for part in np.split(m, cuts)]) for m in members]
    return np.mean(combined, axis=0).astype(np.float32)


def standardized(values: np.ndarray) -> np.ndarray:
    """(x - mean) / standard deviation down each column; a constant column becomes 0."""
    deviation = values.std(0)
    return (values - values.mean(0)) / np.where(deviation > 0, deviation, np.inf)


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks as shares in (0, 1): (rank - 0.5) / n."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place] / len(values)


def masked_correlations(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Pearson correlation of each output with its target where there is one, f64 [targets]; 0 for constants."""
    mask = ~np.isnan(targets)
    count = np.maximum(mask.sum(0), 1)

    def centred(values: np.ndarray) -> np.ndarray:
        values = np.where(mask, values, 0.0).astype(np.float64)
        return (values - values.sum(0) / count) * mask

    x, y = centred(outputs), centred(targets)
    spread = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return (x * y).sum(0) / np.where(spread > 0, spread, np.inf)
