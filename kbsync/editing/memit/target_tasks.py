"""The search for target vectors as tasks for an executor (ADR 0030)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import canonical_json, plain
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise_all
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.insertion import Insertion, SandwichNormInsertion, StreamInsertion
from kbsync.editing.memit.target_pool import Target
from kbsync.editing.memit.targets import search
from kbsync.model.decoder import Decoder
from kbsync.model.hooks import frozen
from kbsync.model.suffix import longest_row
from kbsync.ports import Worker

TARGET_TASKS = "targets"
"""The kind of these tasks."""
_Z, _LOSS = "goal", "loss"
"""Names of the stored tensors. The stored bytes' hashes stand in manifests, so the names never change."""
_ID = 64
"""Hex digits of a rewrite's id, with which each part begins."""
_INSERTIONS = {kind.name: kind for kind in (StreamInsertion, SandwichNormInsertion)}


def shared_by_all(insertion: Insertion, recipe: Recipe, contexts: Sequence[str], window: int) -> bytes:
    """What shapes every search: all but the facts and the model."""
    layers = [layer.index for layer in insertion.layers]
    return canonical_json([insertion.name, layers, recipe, list(contexts), window]).encode()


def task_of(rewrites: Sequence[TokenisedRewrite]) -> bytes:
    """One batch, whose facts are searched together."""
    return canonical_json([_entry(r.rewrite) for r in sorted(rewrites, key=lambda r: r.id)]).encode()


def found_in(part: bytes) -> tuple[str, bytes]:
    """The rewrite's id, and its target as it is stored; empty for a fact whose loss is not finite."""
    return part[:_ID].decode("ascii"), part[_ID:]


def stored_target(target: Target) -> bytes:
    """As it is stored: z as (sites, d) for the bare prompt alone, as it always was, else as (P, sites, d)."""
    z = target.z[0] if len(target.z) == 1 else target.z
    return save({_Z: z, _LOSS: torch.tensor(target.loss, dtype=torch.float64)})


def loaded_target(blob: bytes) -> Target:
    """The target that ``stored_target`` stored."""
    tensors = load(blob)
    z: Tensor = tensors[_Z]
    return Target(z[None] if z.ndim == 2 else z, float(tensors[_LOSS]))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What ``shared_by_all`` said, ready for use."""

    insertion: Insertion
    recipe: Recipe
    contexts: tuple[str, ...]
    window: int


class TargetWorker(Worker):
    """Searches target vectors with the weights that are in place."""

    def __init__(self, decoder: Decoder, tokenizer: PreTrainedTokenizerFast) -> None:
        self._decoder, self._tokenizer = decoder, tokenizer
        self._head = VocabularyHead(decoder)

    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        """Yield the id of each fact with its target, as ``found_in`` reads it."""
        del kind  # the only one
        prepared = self._prepared(shared)
        recipe, most = prepared.recipe, longest_row(self._decoder)
        phrasings = recipe.phrasings == "all"
        rewrites = [_rewrite(entry) for entry in json.loads(task)]
        tokenised, _ = tokenise_all(self._tokenizer, rewrites, prepared.contexts, most, phrasings=phrasings)
        with frozen(self._decoder.model):
            found = search(tokenised, recipe, prepared.insertion, self._head, checkpoint, prepared.window)
            for rewrite, target in found:
                yield rewrite.id.encode("ascii") + (b"" if target is None else stored_target(target))

    def _prepared(self, shared: bytes) -> _Prepared:
        name, layers, hyperparameters, contexts, window = json.loads(shared)
        as_given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in hyperparameters.items()
        }
        recipe = Recipe(**as_given)
        insertion = _INSERTIONS[name](self._decoder, self._decoder.edited_layers(layers))
        return _Prepared(insertion, recipe, tuple(contexts), window)


def _entry(rewrite: Rewrite) -> dict[str, Any]:
    """What is written, without what else a plan says of the fact."""
    return {f.name: plain(getattr(rewrite, f.name)) for f in fields(Rewrite)}


def _rewrite(entry: dict[str, Any]) -> Rewrite:
    further = {name: tuple(FramedPhrasing(**p) for p in entry[name]) for name in ("phrasings", "practised")}
    return Rewrite(**{**entry, **further})
