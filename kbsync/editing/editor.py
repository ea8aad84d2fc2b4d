"""What every editor on torch shares: contexts, requests as tokens, the report, and the model left as it was."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import safetensors
import structlog
import tokenizers
import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import EditError
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import EditReport, LayerReport
from kbsync.editing.contexts import contexts
from kbsync.editing.subject import Prompt, Task, tokenise
from kbsync.model.decoder import Decoder, DecoderLayer, discover
from kbsync.model.delta import FactorDelta
from kbsync.model.hooks import frozen
from kbsync.model.suffix import longest
from kbsync.ports import ArtifactStore, Edit, Editor, Work


@dataclass(frozen=True, slots=True)
class Job:
    """One edit: what is written with which recipe. ``tasks`` are in the order of their ids; ``layers`` ascend."""

    tasks: Sequence[Task]
    guards: Sequence[Guard]
    prefixes: Sequence[str]
    layers: tuple[DecoderLayer, ...]
    recipe: Recipe
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an algorithm made. ``targets``: content hash of each target vector by request id; ``lost``: requests that
    turned out not to be editable, by id, with the reason; ``covariance``: fingerprint of C (empty: none was needed)."""

    delta: FactorDelta
    layers: tuple[LayerReport, ...]
    losses: Mapping[str, float]
    targets: Mapping[str, str]
    lost: Mapping[str, str]
    reused: int
    covariance: str
    pressed: Mapping[str, float] = field(default_factory=dict)


class TorchEditor(Editor):
    """Writes facts into ``model``, which is left bit for bit as it was.

    ``base`` is its fingerprint; ``texts`` the covariance corpus (empty: text that the model samples). Target vectors and
    covariances are kept in ``artifacts``. Raises ``ModelError`` for a model whose structure can't be edited.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        base: str,
        artifacts: ArtifactStore,
        texts: Sequence[str] = (),
    ) -> None:
        self._decoder = discover(model)
        self._tokenizer = tokenizer
        self._base = base
        self._artifacts = artifacts
        self._texts = tuple(texts)

    def edit(
        self, requests: Sequence[EditRequest], recipe: Recipe, work: Work, *, guards: Sequence[Guard] = ()
    ) -> Edit:
        """A delta that holds all requests but those left out by name; the order of requests and of guards does not matter."""
        started = time.monotonic()
        check(recipe, self._decoder)
        layers = self._decoder.edited_layers(recipe.layers)
        with frozen(self._decoder.model):
            prefixes = contexts(self._decoder, self._tokenizer, recipe, self._base, self._artifacts)
            distinct = {r.id: r for r in requests}
            ordered = [distinct[i] for i in sorted(distinct)]
            tasks, left_out = tokenise(self._tokenizer, ordered, prefixes, longest(self._decoder))
            _require_some(tasks, len(distinct), left_out)
            made = self._write(Job(tasks, guards, prefixes, layers, recipe, work))
        report = EditReport(
            layers=made.layers,
            losses=dict(made.losses),
            left_out=left_out | dict(made.lost),
            contexts=tuple(prefixes),
            targets_reused=made.reused,
            seconds=time.monotonic() - started,
            pressed=dict(made.pressed),
        )
        _log(report)
        return Edit(made.delta, report, made.targets, made.covariance, libraries())

    @abstractmethod
    def _write(self, job: Job) -> Written:
        """The algorithm; the model is frozen, and must be as it was when this returns or raises."""


def check(recipe: Recipe, decoder: Decoder) -> None:
    """Raises ``EditError`` for a recipe that is not for this model."""
    dtype = str(decoder.dtype).removeprefix("torch.")
    if dtype != recipe.dtype:
        raise EditError(
            f"The recipe {recipe.name!r} is for {recipe.dtype} weights, and the model is loaded in {dtype}.",
            next_step="Load the model in the recipe's dtype.",
        )
    if recipe.steps < 1:
        raise EditError(f"The recipe {recipe.name!r} gives the target vectors no step.")


def survivors(tasks: Sequence[Task], lost: Mapping[str, str]) -> list[Task]:
    """Tasks that are not lost. Raises ``EditError`` when none is left."""
    left = [t for t in tasks if t.request.id not in lost]
    _require_some(left, len(tasks), lost)
    return left


def prompts_of(tasks: Sequence[Task]) -> list[tuple[Prompt, ...]]:
    """Each fact's prompts, the bare one first."""
    return [t.prompts for t in tasks]


def libraries() -> dict[str, str]:
    """Versions of what computes the weights."""
    modules = (safetensors, tokenizers, torch, transformers)
    return {m.__name__: str(m.__version__) for m in modules}


def _require_some(tasks: Sequence[Task], count: int, reasons: Mapping[str, str]) -> None:
    if not tasks:
        raise EditError(
            f"None of the {count} requests can be edited: {'; '.join(reasons.values()) or 'no request'}.",
            next_step="Correct the relations' templates or labels, or make a plan with facts in it.",
        )


def _log(report: EditReport) -> None:
    """One line a layer; a ridge, and facts that were left out, are warnings."""
    log = structlog.get_logger(__name__)
    for layer in report.layers:
        figures = {
            "layer": layer.layer,
            "residual_before": round(layer.residual_before, 6),
            "residual_after": round(layer.residual_after, 6),
            "delta_ratio": round(layer.delta_ratio, 6),
            "condition": float(f"{layer.condition:.3g}"),
        }
        log.info("layer edited", **figures)
        if layer.ridge:
            log.warning(
                "the covariance is not positive definite; a ridge was added", layer=layer.layer, ridge=layer.ridge
            )
    if report.left_out:
        log.warning(
            "facts left out of the edit", count=len(report.left_out), first=next(iter(report.left_out.values()))
        )
