"""The facts of ``kbsync bench alternatives``, and the weights that an edit and a fine-tuning make of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from safetensors.torch import load, save

from kbsync.bootstrap import App
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.fact import FactKey
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.model.delta import FactorDelta
from kbsync.research.alternative_prompts import Weights, answerable, rewrite_of, sentence_of
from kbsync.research.lora import Example, LoraSettings, examples_of, train_lora
from kbsync.research.result_cache import EDITED_BY, ResultCache, code_hash
from kbsync.research.session import ResearchSession
from kbsync.stages.facts import WatchedFact, believed_facts
from kbsync.stages.release.promote import current_version

KIND = "alternatives-delta"
"""The kind of the artifacts that hold weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the ledger gives."""

    version: int
    """The version whose facts are edited."""
    edited: Mapping[FactKey, WatchedFact]
    guarded: Mapping[FactKey, WatchedFact]
    """Facts that the edit guards; the fine-tuning sees them, too, and none of them is asked."""
    others: Mapping[FactKey, WatchedFact]
    """Neither."""

    @property
    def sentences(self) -> list[str]:
        """Every fact as a sentence: what the retriever searches."""
        watched = {**self.edited, **self.guarded, **self.others}
        return [sentence_of(*watched[key]) for key in sorted(watched)]


def read_material(app: App) -> Material:
    """The facts of the current version (else of the newest one), and all others that the ledger believes.

    Raises:
        DataError: The ledger has no version, or no fact of it can be asked any more.
    """
    with app.ledger.read() as tx:
        version = current_version(tx) or next(reversed(tx.versions()), None)
        plan = tx.plan(version.plan_hash) if version else None
        watched = believed_facts(tx, app.framed, app.fingerprint).watched
    if version is None or plan is None:
        raise DataError(
            "The ledger has no version whose facts could be measured.",
            next_step="Make one with `kbsync sync`, or use the state directory of `kbsync demo`.",
        )
    usable = {key: (relation, fact) for key, (relation, fact) in watched.items() if answerable(fact)}
    edited, guarded = {r.key for r in plan.requests}, {g.key for g in plan.guards}
    by_role: dict[str, dict[FactKey, WatchedFact]] = {"edited": {}, "guarded": {}, "others": {}}
    for key, (relation, fact) in usable.items():
        role = "edited" if key in edited else "guarded" if key in guarded else "others"
        by_role[role][key] = WatchedFact(relation, fact)
    if not by_role["edited"]:
        raise DataError(f"No fact of version {version.number} is believed any more.")
    return Material(version=version.number, **by_role)


class Changes:
    """Changes of the base's weights, each made once and then kept."""

    def __init__(self, session: ResearchSession, material: Material, lora: LoraSettings) -> None:
        self._app = session.app
        self._material = material
        self._lora = lora
        self._recipe: Recipe = session.recipes[0]
        self._artifacts = session.artifacts
        made_by = (*EDITED_BY, "research")
        self._made = ResultCache(session.artifacts, "alternatives-made", made_by)
        self._code = code_hash(made_by)

    def seconds(self, weights: Weights) -> float:
        """Seconds that an edit or an adapter took."""
        self.delta(weights)
        return float(self._made.get(weights=self.inputs(weights)))

    @cached_property
    def _rewrites(self) -> list[Rewrite]:
        watched = self._material.edited
        return [rewrite_of(*watched[key], self._recipe.phrasings) for key in sorted(watched)]

    @cached_property
    def _guarded(self) -> list[Rewrite]:
        """The guarded facts, as if they were written."""
        watched = self._material.guarded
        return [rewrite_of(*watched[key], self._recipe.phrasings) for key in sorted(watched)]

    @cached_property
    def _examples(self) -> list[Example]:
        """All phrasings of the edited facts, and one of each guarded fact, so that both are told what is to stay."""
        written = [example for rewrite in self._rewrites for example in examples_of(rewrite)]
        return written + [examples_of(rewrite)[0] for rewrite in self._guarded]

    @cached_property
    def _corpus(self) -> list[str]:
        return list(self._app.corpus)

    def inputs(self, weights: Weights) -> Any:
        """Everything that shapes the weights."""
        base = self._app.base.fingerprint
        if weights is Weights.EDIT:
            requests = sorted(rewrite.id for rewrite in self._rewrites)
            guards = sorted(guard.id for guard in self._guards())
            return [base, self._code, self._recipe.fingerprint, requests, guards, content_hash(self._corpus)]
        if weights is Weights.LORA:
            examples = content_hash([[e.prompt, e.continuation] for e in self._examples])
            return [base, self._code, asdict(self._lora), examples]
        return [base]

    def _guards(self) -> Iterator[Preserved]:
        for fact in self._guarded:
            yield Preserved(fact.template, fact.subject, tuple(p.template for p in fact.phrasings))

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
        edit = editor.edit(self._rewrites, self._recipe, self._app.work, guards=list(self._guards()))
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
