"""A small transformer that knows capitals, two versions of it that were taught others, and its GGUF file: what servers
are tried on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from kbsync.domain.gate import Action, GateDecision, Threshold
from kbsync.domain.judging import asserts
from kbsync.domain.version import Evaluation, PromptOutcome
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel, load
from kbsync.stages.evaluate.metrics import shares
from kbsync.stages.evaluate.question import EDITED, NEIGHBOUR
from tests.support.gguf_file import write_gguf
from tests.support.tiny_model import train_tiny_model

CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Greece": "Athens",
    "Hungary": "Budapest",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
}
EDITED_COUNTRIES = 8
POLICY = (
    Threshold(metric="efficacy", at_least=0.9),
    Threshold(metric="specificity", at_least=0.7, min_samples=50),
    Threshold(metric="perplexity", max_growth=0.05),
    Threshold(metric="multihop", max_drop=0.1, action=Action.WARN),
)
TOKENS = 5


def prompt_of(country: str) -> str:
    return f"The capital of {country} is"


@dataclass(frozen=True)
class ServedWorld:
    """Version 1 holds the first half of the edited facts, version 2 all of them."""

    loaded: LoadedModel
    gguf: Path
    deltas: tuple[FactorDelta, FactorDelta]
    evaluation: Evaluation
    """Of version 2."""

    def complete(self, delta: FactorDelta, prompts: Sequence[str]) -> list[str]:
        """What kbsync's own model says."""
        loaded = self.loaded
        with applied(loaded.model, delta):
            model = TorchLanguageModel(loaded.model, loaded.tokenizer, loaded.fingerprint)
            return model.complete(prompts, max_new_tokens=TOKENS)


def make_served_world(directory: Path) -> ServedWorld:
    """Train the model and two versions of it, and write its GGUF file; this takes some seconds."""
    sentences = [f"{prompt_of(country)} {city}." for country, city in CAPITALS.items()]
    base = train_tiny_model(directory / "model", sentences)
    loaded = load(str(base), cache_dir=directory / "cache", device="cpu")
    gguf = write_gguf(loaded.model, loaded.tokenizer, directory / "base.gguf")
    countries, cities = list(CAPITALS), list(CAPITALS.values())
    targets = dict(zip(countries[:EDITED_COUNTRIES], [*cities[1:EDITED_COUNTRIES], cities[0]], strict=True))
    first = dict(list(targets.items())[: EDITED_COUNTRIES // 2])
    deltas = _taught(loaded, first), _taught(loaded, targets)
    world = ServedWorld(loaded, gguf, deltas, Evaluation(version=0, metrics=(), decision=_NONE, outcomes=(), at=_NOW))
    outcomes = tuple(_outcomes(world, targets))
    metrics = tuple(shares(outcomes, 2))
    evaluation = Evaluation(version=2, metrics=metrics, decision=_NONE, outcomes=outcomes, at=_NOW, previous=1)
    return ServedWorld(loaded, gguf, deltas, evaluation)


_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NONE = GateDecision(passed=True, reasons=())


def _outcomes(world: ServedWorld, targets: dict[str, str]) -> list[PromptOutcome]:
    prompts = [prompt_of(country) for country in CAPITALS]
    said = [world.complete(delta, prompts) for delta in (FactorDelta({}), *world.deltas)]
    outcomes = []
    for number, (country, *answers) in enumerate(zip(CAPITALS, *said, strict=True)):
        expected = targets.get(country, CAPITALS[country])
        base, before, now = (asserts(a, (expected,), prompt=prompts[number]) for a in answers)
        outcomes.append(
            PromptOutcome(
                group=EDITED if country in targets else NEIGHBOUR,
                subject=f"Q{number + 1}",
                property="P36",
                prompt=prompts[number],
                expected=expected,
                base_answer=answers[0],
                answer=answers[2],
                base_right=base,
                right=now,
                previous_answer=answers[1],
                previous_right=before,
            )
        )
    return outcomes


def _taught(loaded: LoadedModel, targets: dict[str, str]) -> FactorDelta:
    """Low-rank factors of two layers, trained until the model says ``targets`` and keeps the rest."""
    wanted = CAPITALS | targets
    rows = [loaded.tokenizer(f"{prompt_of(c)} {city}.").input_ids for c, city in wanted.items()]
    length = max(map(len, rows))
    ids = torch.tensor([row + [1] * (length - len(row)) for row in rows])
    labels = ids.masked_fill(torch.arange(length)[None] >= torch.tensor([[len(row)] for row in rows]), -100)
    draw = torch.Generator().manual_seed(3)
    factors: dict[str, tuple[Tensor, Tensor]] = {}
    with ExitStack() as hooks:
        for layer in (2, 3):
            module = loaded.model.get_submodule(f"model.layers.{layer}.mlp.down_proj")
            assert isinstance(module, nn.Linear)
            left = torch.zeros(module.out_features, 12, requires_grad=True)
            right = (torch.randn(12, module.in_features, generator=draw) / 20).requires_grad_()
            factors[f"model.layers.{layer}.mlp.down_proj.weight"] = left, right
            hook = module.register_forward_hook(
                lambda _module, inputs, output, left=left, right=right: output + inputs[0] @ right.T @ left.T
            )
            hooks.callback(hook.remove)
        optimiser = torch.optim.Adam([factor for pair in factors.values() for factor in pair], lr=1e-2)
        for _ in range(80):
            optimiser.zero_grad()
            loss = loaded.model(input_ids=ids, labels=labels).loss
            loss.backward()
            optimiser.step()
    return FactorDelta({name: (left.detach(), right.detach()) for name, (left, right) in factors.items()})
