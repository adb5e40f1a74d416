"""A spec as a PyTorch module with its loss, its optimizer and its schedule."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from blocks import block as other_block
from spec import Tree, chosen

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "selu": nn.SELU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}
INITS = {
    "he_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "lecun_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
}


class Linear(nn.Linear):
    """A linear layer that knows how its weights start; its bias starts at 0."""

    def __init__(self, inputs: int, outputs: int, bias: bool, init: str):
        self.init = init
        super().__init__(inputs, outputs, bias)

    def reset_parameters(self) -> None:
        INITS[self.init](self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class HashedDropout(nn.Module):
    """Dropout whose mask is a hash (murmur3's finalizer) of each unit's place and a key of the batch.

    On a CPU, nn.Dropout draws its random numbers one by one and can cost more than the matrix products; compiled,
    this one is vectorized and fused into its neighbours. It is what someone who has profiled the step would write.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.threshold = int(rate * 2**31)
        self.scale = 1.0 / (1.0 - rate)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        key = torch.randint(2**31 - 1, (2,), dtype=torch.int32, device=x.device)
        # The constants are murmur3's as signed 32-bit numbers; shifts of those are made logical by masks.
        hash = torch.arange(x.numel(), dtype=torch.int32, device=x.device).view_as(x)
        hash = (hash * -1640531535) ^ key[0]
        hash = hash ^ ((hash >> 16) & 0xFFFF)
        hash = hash * -2048144789 + key[1]
        hash = hash ^ ((hash >> 13) & 0x7FFFF)
        hash = hash * -1028477387
        hash = hash ^ ((hash >> 16) & 0xFFFF)
        return torch.where((hash & 0x7FFFFFFF) >= self.threshold, x * self.scale, 0.0)


def dense(inputs: int, fields: Tree, dropout: type[nn.Module]) -> nn.Sequential:
    """dropout(activation(norm(x·W + b)))"""
    width = int(fields["width"])
    layers: list[nn.Module] = [Linear(inputs, width, fields["bias"], fields["init"])]
    if fields["norm"] == "batch":
        layers.append(nn.BatchNorm1d(width, eps=1e-5, momentum=0.1))
    elif fields["norm"] == "layer":
        layers.append(nn.LayerNorm(width, eps=1e-5))
    layers.append(ACTIVATIONS[fields["activation"]]())
    if fields["dropout"] > 0:
        layers.append(dropout(fields["dropout"]))
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """x + inner(x); x goes through a projection where the width changes."""

    def __init__(self, inputs: int, inner: list[Tree], dropout: type[nn.Module]):
        super().__init__()
        self.inner, self.width = blocks(inputs, inner, dropout)
        changes = self.width != inputs
        self.projection = Linear(inputs, self.width, False, "xavier_uniform") if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x) + self.inner(x)


def blocks(inputs: int, described: list[Tree], dropout: type[nn.Module]) -> tuple[nn.Sequential, int]:
    """The blocks, one after another, and the width of the last."""
    layers: list[nn.Module] = []
    width = inputs
    for block in described:
        kind, fields = chosen(block)
        if kind == "residual":
            residual = Residual(width, fields, dropout)
            layers.append(residual)
            width = residual.width
        elif kind == "dense":
            layers.append(dense(width, fields, dropout))
            width = int(fields["width"])
        else:

            def inner(inputs: int, described: list[Tree]) -> tuple[nn.Sequential, int]:
                return blocks(inputs, described, dropout)

            layer, width = other_block(kind, fields, width, inner, ACTIVATIONS, dropout)
            layers.append(layer)
    return nn.Sequential(*layers), width


class Net(nn.Module):
    """The whole net: u8 features [rows, inputs] to f32 outputs [rows, targets]."""

    def __init__(self, spec: Tree, inputs: int, target_names: list[str], dropout: type[nn.Module] = nn.Dropout):
        super().__init__()
        self.hidden, width = blocks(inputs, spec["network"], dropout)
        self.output = Linear(width, len(target_names), True, "xavier_uniform")
        kind, fields = chosen(spec["targets"]["weighting"])
        counts = [fields[name] for name in target_names] if kind == "fixed" else [1.0] * len(target_names)
        fixed = torch.tensor(counts, dtype=torch.float64)
        self.register_buffer("fixed", (fixed / fixed.sum()).float())
        self.temperature = fields["temperature"] if kind == "learned" else None
        if self.temperature is not None:
            self.target_logits = nn.Parameter(torch.zeros(len(target_names)))

    def forward(self, features: Tensor) -> Tensor:
        x = features.float().sub_(2.0).mul_(0.5)
        return self.output(self.hidden(x)).float()

    def target_weights(self) -> Tensor:
        """What each target counts, [targets]; sums to 1."""
        if self.temperature is None:
            return self.fixed
        return torch.softmax(self.target_logits / self.temperature, 0)

    def restart(self) -> None:
        """Draws all parameters anew and forgets the running statistics."""
        for module in self.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        if self.temperature is not None:
            nn.init.zeros_(self.target_logits)


class Loss(nn.Module):
    """A net and the loss of its outputs.

    parts: eras that a batch's rows are divided into equally, one after another; 1 for mixed rows
    missing: whether any target may be NaN
    """

    def __init__(self, spec: Tree, net: Net, parts: int, missing: bool):
        super().__init__()
        self.net = net
        self.terms = [chosen(term) for term in spec["loss"]]
        self.parts = parts
        self.missing = missing

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """`features` u8 [rows, inputs], `targets` f32 [rows, targets] in 0 to 1; the loss, a scalar."""
        outputs = self.net(features)
        weights = self.net.target_weights()
        targets = targets - 0.5
        mask = None
        if self.missing:
            mask = torch.isfinite(targets)
            targets = torch.where(mask, targets, 0.0)
            mask = mask.float()
        total = outputs.new_zeros(())
        for kind, fields in self.terms:
            if kind == "pearson":
                parts = self.parts if fields["within"] == "era" else 1
                term = 1.0 - (correlations(outputs, targets, mask, parts) * weights).sum()
            elif kind == "mse":
                term = (mean((outputs - targets).square(), mask) * weights).sum()
            elif kind == "mae":
                term = (mean((outputs - targets).abs(), mask) * weights).sum()
            elif kind == "output_l2":
                term = outputs.square().mean()
            else:
                linear = [module for module in self.net.modules() if isinstance(module, Linear)]
                term = torch.stack([layer.weight.square().sum() for layer in linear]).sum()
            total = total + fields["weight"] * term
        for module in self.net.modules():
            if getattr(module, "extra", None) is not None and self.training:
                total = total + module.extra
        return total


def correlations(outputs: Tensor, targets: Tensor, mask: Tensor | None, parts: int) -> Tensor:
    """Pearson correlation of each output with its target, [targets]: within each part, then the mean over parts."""
    shape = (parts, outputs.shape[0] // parts, outputs.shape[1])
    p, y = outputs.reshape(shape), targets.reshape(shape)
    if mask is None:
        p, y = p - p.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    else:
        mask = mask.reshape(shape)
        count = mask.sum(1, keepdim=True).clamp_min(1.0)
        p = (p - (p * mask).sum(1, keepdim=True) / count) * mask
        y = (y - (y * mask).sum(1, keepdim=True) / count) * mask
    scale = (p.square().sum(1) * y.square().sum(1) + 1e-12).sqrt()
    return ((p * y).sum(1) / scale).mean(0)


def mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the rows that have a target, [targets]."""
    if mask is None:
        return errors.mean(0)
    return (errors * mask).sum(0) / mask.sum(0).clamp_min(1.0)


def optimizer(spec: Tree, net: Net) -> torch.optim.Optimizer:
    """The spec's optimizer in PyTorch's fastest implementation."""
    kind, fields = chosen(spec["optimizer"])
    common: dict[str, Any] = {"lr": fields["lr"], "weight_decay": fields["weight_decay"], "fused": True}
    if kind == "adamw":
        return torch.optim.AdamW(net.parameters(), betas=(fields["beta1"], fields["beta2"]), eps=1e-8, **common)
    return torch.optim.SGD(net.parameters(), momentum=fields["momentum"], **common)


def factor(spec: Tree, step: int, steps_per_epoch: int) -> float:
    """The schedule's factor of the learning rate at a step, counted from 0."""
    kind, fields = chosen(spec["schedule"])
    epoch = step / steps_per_epoch
    total = spec["training"]["epochs"]
    warmup = spec["schedule"]["warmup_epochs"]
    rise = (step + 1) / (warmup * steps_per_epoch) if epoch < warmup else 1.0
    along = min(epoch / total, 1.0)
    if kind == "polynomial":
        end = fields["end_factor"]
        curve = end + (1 - end) * max(1 - epoch / fields["epochs"], 0.0) ** fields["power"]
    elif kind == "cosine":
        end = fields["end_factor"]
        curve = end + (1 - end) * 0.5 * (1 + math.cos(math.pi * along))
    elif kind == "one_cycle":
        peak, start = fields["peak_at"], fields["start_factor"]
        if along < peak:
            curve = start + (1 - start) * 0.5 * (1 - math.cos(math.pi * along / peak))
        else:
            curve = 0.5 * (1 + math.cos(math.pi * (along - peak) / (1 - peak)))
    else:
        curve = 1.0
    return min(rise, 1.0) * curve
