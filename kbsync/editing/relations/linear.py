"""LRE, the linear relational embedding: o ≈ β W s + b (Hernandez et al., ICLR 2024, equations 2 to 5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.editing.common.prompts import Unlocatable
from kbsync.editing.relations.few_shot import Pair, asked
from kbsync.editing.relations.states import jacobians, read_states
from kbsync.model.decoder import Decoder


@dataclass(frozen=True)
class LinearRelation:
    """What reads one relation out of the states after one layer. All of it, and what it gives, is on the CPU."""

    layer: int
    weight: Tensor
    """W (d, d), float64."""
    bias: Tensor
    """b (d,), float64."""

    def objects(self, subjects: Tensor, beta: float) -> Tensor:
        """β W s + b for each row of ``subjects`` (n, d); float64."""
        return beta * subjects.double() @ self.weight.T + self.bias

    def changes(self, differences: Tensor, rank: int) -> Tensor:
        """Δs = W† (o′ − o) for each row of ``differences`` (n, d), with the ``rank`` largest singular values of W."""
        left, values, right = self._decomposed
        kept = min(rank, int((values > 0).sum()))
        return (differences.double() @ left[:, :kept]) / values[:kept] @ right[:kept]

    @cached_property
    def _decomposed(self) -> tuple[Tensor, Tensor, Tensor]:
        left, values, right = torch.linalg.svd(self.weight)
        return left, values, right


def estimate(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    examples: Sequence[Pair],
    layers: Collection[int],
) -> dict[int, LinearRelation]:
    """Estimate W and b at each layer as the mean over the examples, each asked behind the others.

    Args:
        decoder: The model, frozen.
        tokenizer: Its tokenizer.
        template: The relation's prompt, with one ``{}``.
        examples: At least two.
        layers: After which s is read.

    Raises:
        Unlocatable: An example's subject can't be found among its prompt's tokens.
    """
    if len(examples) < 2:
        raise Unlocatable("a relation is shown by two examples at least")
    order = sorted(layers)
    weights = {layer: torch.zeros(decoder.hidden_size, decoder.hidden_size, dtype=torch.float64) for layer in order}
    biases = {layer: torch.zeros(decoder.hidden_size, dtype=torch.float64) for layer in order}
    for pair in examples:
        prompt = asked(tokenizer, template, [other for other in examples if other != pair], pair.subject)
        states = read_states(decoder, [prompt], order)
        for layer, jacobian in jacobians(decoder, prompt, order).items():
            weight = jacobian.double()
            weights[layer] += weight / len(examples)
            biases[layer] += (states.objects[0].double() - weight @ states.subjects[layer][0].double()) / len(examples)
    return {layer: LinearRelation(layer, weights[layer], biases[layer]) for layer in order}


@torch.no_grad()
def decoded(decoder: Decoder, objects: Tensor) -> Tensor:
    """Logits (n, vocabulary) of object states (n, d): final norm and head."""
    return decoder.logits(decoder.final_norm(objects.to(decoder.model.device, decoder.dtype)))
