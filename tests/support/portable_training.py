"""A Llama that is trained to nearly the same weights on every machine: in float64, where differences of rounding stay
small.

transformers rounds norms, angles and the loss to float32 whatever the model's type, and torch's random numbers differ
by processor. Here all of these are replaced.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM


def make_portable(model: LlamaForCausalLM, seed: int) -> None:
    """Turn ``model`` into float64, with first weights that are drawn by Python. Its parameters keep their names."""
    model.double()
    inner = model.model
    inner.norm = _Norm(inner.norm)
    inner.rotary_emb = _Rotary(model.config.head_dim, model.config.rope_parameters["rope_theta"])
    for layer in inner.layers:
        layer.input_layernorm = _Norm(layer.input_layernorm)
        layer.post_attention_layernorm = _Norm(layer.post_attention_layernorm)
    draw = random.Random(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                drawn = [draw.gauss(0.0, model.config.initializer_range) for _ in range(weight.numel())]
                weight.copy_(torch.tensor(drawn, dtype=weight.dtype).reshape(weight.shape))


def by_length(model: LlamaForCausalLM, rows: Sequence[Sequence[int]]) -> Callable[[], Tensor]:
    """A function that computes the mean loss of the next token, in the model's type.

    Sentences of one length form a batch, so that nothing is computed for padding.
    """
    lengths: dict[int, list[Sequence[int]]] = {}
    for row in rows:
        lengths.setdefault(len(row), []).append(row)
    batches = [torch.tensor(batch) for batch in lengths.values()]
    tokens = sum(batch[:, 1:].numel() for batch in batches)

    def loss() -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for batch in batches:
            logits = model(input_ids=batch).logits[:, :-1]
            total = total + cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")
        return total / tokens

    return loss


class _Norm(torch.nn.Module):
    """RMSNorm."""

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        self.weight, self._eps = norm.weight, float(norm.variance_epsilon)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.weight * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self._eps)
        return scale * x


class _Rotary(torch.nn.Module):
    """Cosines and sines of the rotary embedding, (batch, length, head_dim)."""

    def __init__(self, head_dim: int, theta: float) -> None:
        super().__init__()
        self._frequencies = torch.tensor([theta ** (-n / head_dim) for n in range(0, head_dim, 2)], dtype=torch.float64)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = position_ids[..., None].double() * self._frequencies
        both = torch.cat((angles, angles), dim=-1)
        return both.cos(), both.sin()
