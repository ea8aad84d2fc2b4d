"""What every editor shares: contexts, rewrites as tokens, the report, and the model left as it was."""

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
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport, LayerReport
from kbsync.editing.common.contexts import contexts
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise_all
from kbsync.editing.covariance.covariance import Covariances, covariances
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.delta import FactorDelta
from kbsync.model.editable import editable
from kbsync.model.forward import vocabulary_of
from kbsync.model.hooks import frozen
from kbsync.model.spread import require_in_place
from kbsync.model.suffix import longest_row
from kbsync.ports import ArtifactStore, Edit, Editor, Executor, Work


@dataclass(frozen=True, slots=True)
class EditJob:
    """One edit: what is written, with which recipe."""

    rewrites: Sequence[TokenisedRewrite]
    """In the order of their ids."""
    preserved: Sequence[Preserved]
    contexts: Sequence[str]
    """Texts with one ``{}`` for the prompt; the bare prompt is not among them."""
    layers: tuple[DecoderLayer, ...]
    """The edited layers, ascending."""
    recipe: Recipe
    base: str
    """The model's fingerprint, for cache keys."""
    artifacts: ArtifactStore
    work: Work
    tokenizer: PreTrainedTokenizerFast
    executor: Executor | None = None
    """Does what needs nothing but the base and the recipe; None: it is done in this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmResult:
    """What an algorithm made. Mappings are by rewrite id."""

    delta: FactorDelta
    layers: tuple[LayerReport, ...]
    losses: Mapping[str, float]
    """The last loss of each fact, in nats."""
    targets: Mapping[str, str]
    """SHA-256 of each target vector as it is stored."""
    failed: Mapping[str, str]
    """Rewrites that turned out not to be editable, with the reason."""
    reused: int
    """Target vectors that were stored before."""
    covariance: str
    """Fingerprint of C; empty where none was needed."""
    reweighted: Mapping[str, float] = field(default_factory=dict)
    """Weights of the facts that were written with another weight than 1."""


class TorchEditor(Editor):
    """Writes facts into a model, which is left bit for bit as it was."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        base: str,
        artifacts: ArtifactStore,
        texts: Sequence[str] = (),
        executor: Executor | None = None,
    ) -> None:
        """Find the decoder's parts.

        Args:
            base: The model's fingerprint, part of every cache key.
            artifacts: Keeps target vectors, covariances and contexts.
            texts: Text for the covariance; empty: text that the model samples.
            executor: Measures covariances and searches target vectors; None: this process does.

        Raises:
            ModelError: The model's structure can't be edited.
        """
        self._decoder = editable(model)
        self._tokenizer = tokenizer
        self._base = base
        self._artifacts = artifacts
        self._texts = tuple(texts)
        self._executor = executor

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        """As ``compute``, with a line in the log for each edited layer."""
        edit = self.compute(rewrites, recipe, work, guards)
        _log(edit.report)
        return edit

    def compute(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, preserved: Sequence[Preserved] = ()
    ) -> Edit:
        """A change that holds all rewrites but those left out by name.

        The order of rewrites, and of what is preserved, does not matter.

        Raises:
            EditError: No sound change exists.
            ModelError: The model does not have one of the recipe's layers.
        """
        started = time.monotonic()
        check(recipe, self._decoder)
        layers = self._decoder.edited_layers(recipe.layers)
        require_in_place(self._decoder, layers)
        with frozen(self._decoder.model):
            prefixes = contexts(self._decoder, self._tokenizer, recipe, self._base, self._artifacts)
            distinct = {r.id: r for r in rewrites}
            ordered = [distinct[i] for i in sorted(distinct)]
            tokenised, left_out = tokenise_all(
                self._tokenizer,
                ordered,
                prefixes,
                longest_row(self._decoder),
                phrasings=recipe.phrasings == "all",
                vocabulary=vocabulary_of(self._decoder.model),
            )
            _require_some(tokenised, len(distinct), left_out)
            job = EditJob(
                tokenised,
                preserved,
                prefixes,
                layers,
                recipe,
                self._base,
                self._artifacts,
                work,
                self._tokenizer,
                self._executor,
            )
            result = self._write(job)
        report = EditReport(
            layers=result.layers,
            losses=dict(result.losses),
            left_out=left_out | dict(result.failed),
            contexts=tuple(prefixes),
            targets_reused=result.reused,
            seconds=time.monotonic() - started,
            pressed=dict(result.reweighted),
        )
        return Edit(result.delta, report, result.targets, result.covariance, libraries())

    @abstractmethod
    def _write(self, job: EditJob) -> AlgorithmResult:
        """The algorithm. The model is frozen, and must be as it was when this returns or raises."""

    def _covariances(self, job: EditJob) -> Covariances:
        """C of each edited layer, stored or measured."""
        return covariances(
            self._decoder,
            self._tokenizer,
            self._texts,
            job.recipe,
            self._base,
            self._artifacts,
            job.work,
            job.executor,
        )


def check(recipe: Recipe, decoder: Decoder) -> None:
    """Raise ``EditError`` for a recipe that is not for this model."""
    dtype = str(decoder.dtype).removeprefix("torch.")
    if dtype != recipe.dtype:
        raise EditError(
            f"The recipe {recipe.name!r} is for {recipe.dtype} weights, and the model is loaded in {dtype}.",
            next_step="Load the model in the recipe's dtype.",
        )
    if recipe.steps < 1:
        raise EditError(f"The recipe {recipe.name!r} gives the target vectors no step.")


def survivors(rewrites: Sequence[TokenisedRewrite], failed: Mapping[str, str]) -> list[TokenisedRewrite]:
    """Rewrites that have not failed. Raises ``EditError`` when none is left."""
    left = [r for r in rewrites if r.id not in failed]
    _require_some(left, len(rewrites), failed)
    return left


def libraries() -> dict[str, str]:
    """Versions of what computes the weights."""
    modules = (safetensors, tokenizers, torch, transformers)
    return {m.__name__: str(m.__version__) for m in modules}


def _require_some(rewrites: Sequence[TokenisedRewrite], count: int, reasons: Mapping[str, str]) -> None:
    if not rewrites:
        raise EditError(
            f"None of the {count} requests can be edited: {'; '.join(reasons.values()) or 'no request'}.",
            next_step="Correct the relations' templates or labels, or make a plan with facts in it.",
        )


def _log(report: EditReport) -> None:
    """One line for each layer; a ridge, and facts that were left out, are warnings."""
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
