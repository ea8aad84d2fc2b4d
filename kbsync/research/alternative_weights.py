"""The facts of ``kbsync bench alternatives``, and the weights that an edit and a fine-tuning make of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from safetensors.torch import load, save

from kbsync.bootstrap import App
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.fact import FactKey
from kbsync.domain.fact_sentence import answerable, sentence_of
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.model.delta import FactorDelta
from kbsync.ports import ArtifactStore
from kbsync.research.alternative_prompts import Weights, rewrite_of
from kbsync.research.lora import Example, LoraSettings, examples_of, train_lora
from kbsync.research.result_cache import EDITED_BY, ResultCache, code_hash
from kbsync.stages.facts import BelievedFacts, WatchedFact

KIND = "alternatives-delta"
"""The kind of the artifacts that hold weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The facts of a ledger, by what is done with them."""

    requests: tuple[EditRequest, ...]
    """What the edit writes."""
    guards: tuple[Guard, ...]
    """What the edit guards; the fine-tuning sees it, too, and none of it is asked."""
    edited: Mapping[FactKey, WatchedFact]
    guarded: Mapping[FactKey, WatchedFact]
    others: Mapping[FactKey, WatchedFact]
    """Neither edited nor guarded."""

    @property
    def sentences(self) -> list[str]:
        """Every fact as a sentence: what the retriever searches."""
        watched = {**self.edited, **self.guarded, **self.others}
        return [sentence_of(*watched[key]) for key in sorted(watched)]


def material_of(facts: BelievedFacts, requests: tuple[EditRequest, ...], guards: tuple[Guard, ...]) -> Material:
    """Sort the facts by what a plan does with them; facts without names are left out."""
    edited, guarded = {r.key for r in requests}, {g.key for g in guards}
    usable = {key: watched for key, watched in facts.watched.items() if answerable(watched.fact)}
    return Material(
        requests=requests,
        guards=guards,
        edited={key: watched for key, watched in usable.items() if key in edited},
        guarded={key: watched for key, watched in usable.items() if key in guarded},
        others={key: watched for key, watched in usable.items() if key not in edited | guarded},
    )


class Changes:
    """Changes of the base's weights, each made once and then kept."""

    def __init__(
        self, app: App, artifacts: ArtifactStore, recipe: Recipe, material: Material, lora: LoraSettings
    ) -> None:
        self._app = app
        self._material = material
        self._lora = lora
        self._recipe = recipe
        self._artifacts = artifacts
        made_by = (*EDITED_BY, "research")
        self._made = ResultCache(artifacts, "alternatives-made", made_by)
        self._code = code_hash(made_by)

    def seconds(self, weights: Weights) -> float:
        """Seconds that an edit or an adapter took."""
        self.delta(weights)
        return float(self._made.get(weights=self.inputs(weights)) or 0.0)

    @cached_property
    def _examples(self) -> list[Example]:
        """All phrasings of the edited facts, and one of each guarded fact, so that both are told what is to stay."""
        written = [example for request in self._material.requests for example in examples_of(request)]
        guarded = [rewrite_of(*watched) for _, watched in sorted(self._material.guarded.items())]
        return written + [example for rewrite in guarded for example in examples_of(rewrite)]

    @cached_property
    def _corpus(self) -> list[str]:
        return list(self._app.corpus)

    def inputs(self, weights: Weights) -> Any:
        """Everything that shapes the weights."""
        base = self._app.base.fingerprint
        if weights is Weights.EDIT:
            requests = sorted(rewrite.id for rewrite in self._material.requests)
            guards = sorted(guard.id for guard in self._material.guards)
            return [base, self._code, self._recipe.fingerprint, requests, guards, content_hash(self._corpus)]
        if weights is Weights.LORA:
            examples = content_hash([[e.prompt, e.continuation] for e in self._examples])
            return [base, self._code, asdict(self._lora), examples]
        return [base]

    def delta(self, weights: Weights) -> FactorDelta:
        """The change of the base, from the store if it was made before."""
        key = content_hash(["alternatives", self.inputs(weights)])
        stored = self._artifacts.get(KIND, key)
        if stored is not None and self._made.get(weights=self.inputs(weights)) is not None:
            return unpacked(stored)
        begun = time.perf_counter()
        delta = self._edit() if weights is Weights.EDIT else self._fine_tune()
        seconds = time.perf_counter() - begun
        self._artifacts.put(KIND, key, packed(delta))
        self._made.put(seconds, weights=self.inputs(weights))
        return delta

    def _edit(self) -> FactorDelta:
        editor = self._app.editor(self._recipe, self._artifacts, self._corpus)
        edit = editor.edit(self._material.requests, self._recipe, self._app.work, guards=self._material.guards)
        if not isinstance(edit.delta, FactorDelta):
            raise DataError("The recipe's editor gives no low-rank change.")
        return edit.delta

    def _fine_tune(self) -> FactorDelta:
        loaded = self._app.loaded
        return train_lora(loaded.model, loaded.tokenizer, self._examples, self._lora, self._app.work)


def packed(delta: FactorDelta) -> bytes:
    """The factors as safetensors."""
    named = {f"{name}|{side}": t for name in delta.parameters for side, t in enumerate(delta.factors[name])}
    return save({name: tensor.contiguous() for name, tensor in named.items()})


def unpacked(data: bytes) -> FactorDelta:
    """From ``packed``."""
    tensors = load(data)
    names = {name.rpartition("|")[0] for name in tensors}
    return FactorDelta({name: (tensors[f"{name}|0"], tensors[f"{name}|1"]) for name in names})
