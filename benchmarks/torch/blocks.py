"""The blocks of a spec beside dense layers as PyTorch modules, in PyTorch's fastest ways where it has several.

Tokens are [rows, tokens, width], members of an ensemble [rows, members, width], everything else [rows, units]. A module
that adds a term to the loss leaves it in `extra` with every forward pass.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec import Tree, chosen

GATES = {"glu": torch.sigmoid, "reglu": torch.relu, "geglu": F.gelu, "swiglu": F.silu}


class Gate(nn.Module):
    """(x·W + b) ⊙ σ(x·V + c), one product for both."""

    def __init__(self, inputs: int, fields: Tree, dropout: type[nn.Module]):
        super().__init__()
        self.both = nn.Linear(inputs, 2 * fields["width"], fields["bias"])
        self.curve = GATES[fields["kind"]]
        self.dropout = dropout(fields["dropout"]) if fields["dropout"] > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        values, gates = self.both(x).chunk(2, -1)
        return self.dropout(values * self.curve(gates))


class Excitation(nn.Module):
    """x ⊙ sigmoid(W₂·relu(W₁·x))"""

    def __init__(self, inputs: int, ratio: float):
        super().__init__()
        hidden = max(1, round(inputs * ratio))
        self.squeeze, self.excite = nn.Linear(inputs, hidden), nn.Linear(hidden, inputs)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(x))))


class Cross(nn.Module):
    """x ← x₀ ⊙ (x·W + b) + x"""

    def __init__(self, inputs: int, fields: Tree):
        super().__init__()
        rank = fields["rank"]

        def layer() -> nn.Module:
            if rank is None:
                return nn.Linear(inputs, inputs)
            return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, inputs))

        self.layers = nn.ModuleList(layer() for _ in range(fields["layers"]))

    def forward(self, x: Tensor) -> Tensor:
        start = x
        for layer in self.layers:
            x = torch.addcmul(x, start, layer(x))
        return x


class Experts(nn.Module):
    """Σ gₑ·expertₑ(x), over the best few of each row."""

    def __init__(self, inputs: int, fields: Tree, experts: list[nn.Module]):
        super().__init__()
        self.gate, self.experts = nn.Linear(inputs, len(experts)), nn.ModuleList(experts)
        self.top_k, self.balance = fields["top_k"], fields["balance"]
        self.extra: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        logits = self.gate(x)
        if self.balance > 0 and self.training:
            gates = torch.softmax(logits, -1)
            chosen_most = F.one_hot(gates.argmax(-1), len(self.experts)).float().mean(0)
            self.extra = self.balance * len(self.experts) * (chosen_most * gates.mean(0)).sum()
        if self.top_k is not None:
            best, places = logits.topk(self.top_k, -1)
            logits = torch.full_like(logits, -math.inf).scatter(-1, places, best)
        gates = torch.softmax(logits, -1)
        outputs = torch.stack([expert(x) for expert in self.experts], 1)
        return torch.bmm(gates[:, None], outputs)[:, 0]


class Tokenize(nn.Module):
    """A token x·w + b for each feature; a learned one in front where there is a class token."""

    def __init__(self, features: int, fields: Tree):
        super().__init__()
        if fields["per"] != "feature" or chosen(fields["embedding"])[0] != "linear":
            raise ValueError(f"tokenize is measured per feature and linear, not {fields}")
        width = fields["width"]
        self.weight = nn.Parameter(torch.randn(features, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(features, width))
        self.token = nn.Parameter(torch.randn(width) / math.sqrt(width)) if fields["class_token"] else None

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.addcmul(self.bias, x[..., None], self.weight)
        if self.token is None:
            return tokens
        return torch.cat([self.token.expand(len(x), 1, -1), tokens], 1)


class Attention(nn.Module):
    """softmax(Q·Kᵀ/√d)·V of each head, then a linear layer."""

    def __init__(self, width: int, fields: Tree):
        super().__init__()
        self.heads, self.dropout = fields["heads"], fields["dropout"]
        self.project, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, tokens, width = x.shape
        parts = self.project(x).view(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts.unbind(0), dropout_p=self.dropout if self.training else 0.0)
        return self.output(mixed.transpose(1, 2).reshape(rows, tokens, width))


class Pool(nn.Module):
    """Tokens to units: the first one, or their mean."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0] if self.kind == "first" else x.mean(1)


class Sparsemax(torch.autograd.Function):
    """The nearest point of the simplex, by sorting, as in pytorch-tabnet."""

    @staticmethod
    def forward(context, z: Tensor) -> Tensor:
        z = z - z.amax(-1, keepdim=True)
        falling = z.sort(-1, descending=True).values
        sums = falling.cumsum(-1) - 1
        places = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
        count = (places * falling > sums).sum(-1, keepdim=True)
        y = (z - sums.gather(-1, count - 1) / count).clamp_min(0)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        (y,) = context.saved_tensors
        support = y > 0
        gradient = gradient * support
        mean = gradient.sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return torch.where(support, gradient - mean, gradient)


class TabNet(nn.Module):
    """TabNet's encoder."""

    class Layer(nn.Module):
        """A gated linear unit with batch norm; the weight may be another's."""

        def __init__(self, linear: nn.Linear):
            super().__init__()
            self.linear, self.norm = linear, nn.BatchNorm1d(linear.out_features, eps=1e-5, momentum=0.1)

        def forward(self, x: Tensor) -> Tensor:
            return F.glu(self.norm(self.linear(x)), -1)

    def __init__(self, inputs: int, fields: Tree):
        super().__init__()
        self.width, self.relaxation, self.sparsity = fields["width"], fields["relaxation"], fields["sparsity"]
        units = self.width + fields["attention_width"]

        def linears(count: int, first: int) -> list[nn.Linear]:
            return [nn.Linear(units if at or first == 0 else first, 2 * units, bias=False) for at in range(count)]

        shared = linears(fields["shared"], inputs)

        def transformer() -> nn.ModuleList:
            own = linears(fields["independent"], 0 if shared else inputs)
            return nn.ModuleList(self.Layer(linear) for linear in [*shared, *own])

        steps = fields["steps"]
        self.norm = nn.BatchNorm1d(inputs, eps=1e-5, momentum=0.1)
        self.first, self.transformers = transformer(), nn.ModuleList(transformer() for _ in range(steps))
        self.masks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(fields["attention_width"], inputs, bias=False), nn.BatchNorm1d(inputs, eps=1e-5, momentum=0.1)
            )
            for _ in range(steps)
        )
        self.extra: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        state = transformed(self.first, x)
        prior, output, entropy = torch.ones_like(x), 0.0, 0.0
        for transformer, mask in zip(self.transformers, self.masks):
            share = Sparsemax.apply(mask(state[:, self.width :]) * prior)
            entropy = entropy - (share * torch.log(share + 1e-15)).sum(1).mean()
            prior = prior * (self.relaxation - share)
            state = transformed(transformer, x * share)
            output = output + torch.relu(state[:, : self.width])
        if self.training:
            self.extra = entropy * (self.sparsity / len(self.masks))
        return output


def transformed(layers: nn.ModuleList, x: Tensor) -> Tensor:
    """TabNet's feature transformer."""
    for index, layer in enumerate(layers):
        y = layer(x)
        x = (x + y) * math.sqrt(0.5) if index else y
    return x


class MemberDense(nn.Module):
    """activation(((x ⊙ input)·W) ⊙ output + bias), with dropout, of each member."""

    def __init__(self, inputs: int, fields: Tree, members: int, activation: nn.Module, dropout: type[nn.Module]):
        super().__init__()
        width = fields["width"]
        if fields["norm"] != "none" or not fields["bias"]:
            raise ValueError("members are measured without norm and with bias")
        self.linear = nn.Linear(inputs, width, bias=False)
        self.input = nn.Parameter(torch.randn(members, inputs).sign())
        self.output, self.bias = nn.Parameter(torch.ones(members, width)), nn.Parameter(torch.zeros(members, width))
        self.activation = activation
        self.dropout = dropout(fields["dropout"]) if fields["dropout"] > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.activation(torch.addcmul(self.bias, self.linear(x * self.input), self.output)))


class Members(nn.Module):
    """Members side by side, and their mean."""

    def __init__(self, inner: nn.Module, members: int):
        super().__init__()
        self.inner, self.members = inner, members

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x[:, None].expand(-1, self.members, -1)).mean(1)


class Autoencoder(nn.Module):
    """The code, and how well x can be told from it."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, fields: Tree):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.weight, self.output = fields["weight"], fields["output"]
        self.extra: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        if self.training:
            self.extra = self.weight * F.mse_loss(self.decoder(code), x.detach())
        return torch.cat([x, code], -1) if self.output == "both" else code


class Parallel(nn.Module):
    """Branches that read the same."""

    def __init__(self, branches: list[nn.Module], combine: str):
        super().__init__()
        self.branches, self.combine = nn.ModuleList(branches), combine

    def forward(self, x: Tensor) -> Tensor:
        outputs = [branch(x) for branch in self.branches]
        if self.combine == "concat":
            return torch.cat(outputs, -1)
        total = torch.stack(outputs).sum(0)
        return total / len(outputs) if self.combine == "mean" else total


Inner = Callable[[int, list[Tree]], tuple[nn.Module, int]]


def block(
    kind: str, fields: Tree, inputs: int, inner: Inner, activations: dict[str, type[nn.Module]], dropout: type[nn.Module]
) -> tuple[nn.Module, int]:
    """A block, and its outputs: of a row, or of each token. `inner` makes the blocks within."""
    match kind:
        case "gate":
            return Gate(inputs, fields, dropout), fields["width"]
        case "squeeze_excitation":
            return Excitation(inputs, fields["ratio"]), inputs
        case "cross":
            return Cross(inputs, fields), inputs
        case "mixture_of_experts":
            experts = [inner(inputs, fields["expert"]) for _ in range(fields["experts"])]
            return Experts(inputs, fields, [expert for expert, _ in experts]), experts[0][1]
        case "tokenize":
            return Tokenize(inputs, fields), fields["width"]
        case "attention":
            return Attention(inputs, fields), inputs
        case "pool" if fields != "flatten":
            return Pool(fields), inputs
        case "tabnet":
            return TabNet(inputs, fields), fields["width"]
        case "batch_ensemble":
            layers: list[nn.Module] = []
            for described in fields["blocks"]:
                _, own = chosen(described)
                activation = activations[own["activation"]]()
                layers.append(MemberDense(inputs, own, fields["members"], activation, dropout))
                inputs = own["width"]
            return Members(nn.Sequential(*layers), fields["members"]), inputs
        case "autoencoder":
            encoder, width = inner(inputs, fields["encoder"])
            decoder, last = inner(width, fields["decoder"])
            decoder = nn.Sequential(decoder, nn.Linear(last, inputs))
            return Autoencoder(encoder, decoder, fields), width + (inputs if fields["output"] == "both" else 0)
        case "parallel":
            branches = [inner(inputs, branch) for branch in fields["branches"]]
            widths = [width for _, width in branches]
            return (
                Parallel([branch for branch, _ in branches], fields["combine"]),
                sum(widths) if fields["combine"] == "concat" else widths[0],
            )
        case "repeat":
            modules = []
            for _ in range(fields["times"]):
                module, inputs = inner(inputs, fields["blocks"])
                modules.append(module)
            return nn.Sequential(*modules), inputs
        case "norm":
            norm = nn.BatchNorm1d if fields == "batch" else nn.LayerNorm
            return norm(inputs, eps=1e-5), inputs
        case "activation":
            return nn.PReLU(inputs) if fields == "prelu" else activations[fields](), inputs
        case "dropout":
            return dropout(fields), inputs
    raise ValueError(f"{kind}: {fields} is not among the blocks that are measured")
