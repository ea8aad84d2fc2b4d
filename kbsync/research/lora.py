"""LoRA fine-tuning (Hu et al., ICLR 2022) with PEFT, on the prompts that an edit writes.

What is trained comes out as a delta on the base, so that it is applied, measured and kept as an edit is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import fill
from kbsync.domain.rewrite import Rewrite, joint
from kbsync.model.delta import FactorDelta
from kbsync.model.forward import Forward
from kbsync.model.tokens import encode, split
from kbsync.ports import Work

_IGNORED = -100
"""The label of a place that is not trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """How an adapter is trained: AdamW on all linear matrices but the head, with a rate that falls linearly to zero."""

    rank: int = 16
    scale: int = 1
    """α / r: what the product of the factors is multiplied with."""
    epochs: int = 5
    learning_rate: float = 1e-3
    batch: int = 16
    seed: int = 0
    """Draws the first factors, and the order of the examples."""


@dataclass(frozen=True, slots=True)
class Example:
    """What one step of training may see."""

    prompt: str
    continuation: str
    """The answer with the blank before it and what ends it: the loss is taken over these tokens only."""


def examples_of(rewrite: Rewrite) -> list[Example]:
    """The very prompts and answers that an edit of this fact writes."""
    asked = [(rewrite.template, rewrite.end), *((p.template, p.end) for p in rewrite.phrasings)]
    prompts = [(fill(template, rewrite.subject), end) for template, end in asked]
    return [Example(prompt, f"{joint(prompt)}{rewrite.target}{end}") for prompt, end in prompts]


def train_lora(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    settings: LoraSettings,
    work: Work,
) -> FactorDelta:
    """Train an adapter. The model has the very same weights and modules afterwards.

    Args:
        model: The base, whose parameters need no gradient.
        tokenizer: Its tokenizer.
        examples: What it is trained on; each is seen once an epoch.
        settings: Rank, epochs and rates.
        work: Shows the steps; a stop is noticed between two of them.

    Returns:
        B·A of each matrix, scaled.

    Raises:
        DataError: There is no example, or PEFT is missing.
    """
    require_peft()
    if not examples:
        raise DataError("There is nothing to train on.")
    from peft import LoraConfig, get_peft_model

    rows = [_row(tokenizer, example) for example in examples]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.rank * settings.scale,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            lora_dropout=0.0,
        )
        wrapped: Any = get_peft_model(model, config)
        wrapped.eval()
        try:
            _train(model, rows, settings, work)
            return _delta(model)
        finally:
            wrapped.unload()
            vars(model).pop("peft_config", None)


def require_peft() -> None:
    """Raise ``DataError`` if PEFT is missing."""
    if find_spec("peft") is None:
        raise DataError("Fine-tuning needs PEFT.", next_step="Install it: pip install 'kbsync[lora]'")


@dataclass(frozen=True, slots=True)
class _Row:
    """An example as tokens."""

    ids: list[int]
    trained: int
    """Number of ids at the end that are the answer's."""


def _row(tokenizer: PreTrainedTokenizerFast, example: Example) -> _Row:
    (item,) = encode(tokenizer, [example.prompt + example.continuation])
    return _Row(item.ids, split(item, example.prompt, example.continuation))


def _train(model: PreTrainedModel, rows: Sequence[_Row], settings: LoraSettings, work: Work) -> None:
    forward = Forward(model)
    batches = list(_batches(rows, settings))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0)
    work.start("fine-tune", len(batches))
    with torch.enable_grad():
        for step, batch in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - step / len(batches))
            optimiser.zero_grad()
            torch.autograd.backward(_loss(forward, batch))
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            work.advance()
    work.finish()


def _batches(rows: Sequence[_Row], settings: LoraSettings) -> Iterator[list[_Row]]:
    """All rows once an epoch, in batches of similar length, in an order that the seed draws."""
    drawn = random.Random(settings.seed)
    for _ in range(settings.epochs):
        order = sorted(rows, key=lambda row: len(row.ids) + 4 * drawn.random())
        batches = [order[start : start + settings.batch] for start in range(0, len(order), settings.batch)]
        drawn.shuffle(batches)
        yield from batches


def _loss(forward: Forward, batch: Sequence[_Row]) -> Tensor:
    """Mean cross-entropy over the tokens of the answers, in nats."""
    longest = max(row.trained for row in batch)
    ids, mask = forward.padded([row.ids for row in batch])
    logits = forward.logits(ids, mask, keep=longest + 1)[:, :-1].float()
    labels = ids[:, -longest:].clone()
    for place, row in enumerate(batch):
        labels[place, : longest - row.trained] = _IGNORED
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=_IGNORED)


def _delta(model: PreTrainedModel) -> FactorDelta:
    return FactorDelta({f"{name}.weight": factors for name, factors in _factors(model)})


def _factors(model: PreTrainedModel) -> Iterable[tuple[str, tuple[Tensor, Tensor]]]:
    """For each trained module, its name in the base, scaled B (out, r), and A (r, in)."""
    for name, module in model.named_modules():
        layer: Any = module
        if hasattr(layer, "lora_A") and hasattr(layer, "scaling"):
            inner, outer = (side["default"].weight.detach().float().cpu() for side in (layer.lora_A, layer.lora_B))
            yield name, ((outer * layer.scaling["default"]).contiguous(), inner.contiguous())
