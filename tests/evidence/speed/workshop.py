"""What the suites share: the model, an editor that searches every target vector anew, and the transcription."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.contexts import contexts
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise_all
from kbsync.editing.covariance.covariance import Covariances
from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
from kbsync.model.decoder import Decoder, discover
from kbsync.model.delta import FactorDelta
from kbsync.model.hooks import frozen
from kbsync.model.load import LoadedModel
from kbsync.model.suffix import longest_row
from kbsync.ports import ArtifactStore, Edit, Work
from kbsync.research.result_cache import ResultCache
from kbsync.research.session import ResearchSession
from tests.evidence.speed.laps import Lap, Steps
from tests.evidence.speed.published import Published


class Parts:
    """Finished parts of suites, as JSON: a run that was killed goes on with the next part."""

    def __init__(self, cache: ResultCache | None = None, *, again: bool = False, **inputs: Any) -> None:
        """``cache`` is None where nothing is kept; ``again``: what an earlier run made is made anew, once."""
        self._cache, self._inputs, self._again = cache, inputs, again
        self._made: dict[str, Any] = {}

    def make(self, name: str, compute: Callable[[], Any]) -> Any:
        """The part that has this name, computed where it is not there yet."""
        if name not in self._made:
            inputs = self._inputs | {"part": name}
            known = None if self._again or self._cache is None else self._cache.get(**inputs)
            if known is None:
                known = compute()
                if self._cache is not None:
                    self._cache.put(known, **inputs)
            self._made[name] = known
        return self._made[name]


class Scratch(ArtifactStore):
    """Keeps target vectors in memory, so that each edit searches its own; everything else is in ``store``."""

    def __init__(self, store: ArtifactStore, *, lasting: bool = False) -> None:
        """``lasting``: target vectors are in ``store``, too, and found there by a later run."""
        self._store, self._lasting = store, lasting
        self.targets: dict[str, bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        if kind == "targets" and key in self.targets:
            return self.targets[key]
        found = self._store.get(kind, key) if kind != "targets" or self._lasting else None
        if kind == "targets" and found is not None:
            self.targets[key] = found
        return found

    def put(self, kind: str, key: str, data: bytes) -> None:
        if kind == "targets":
            self.targets[key] = data
        if kind != "targets" or self._lasting:
            self._store.put(kind, key, data)

    def drop(self, kind: str, key: str) -> None:
        self._store.drop(kind, key)


@dataclass(frozen=True, slots=True)
class Made:
    """An edit, the laps of its steps, and by rewrite id its target vectors, (sites, d), with their loss."""

    edit: Edit
    laps: dict[str, Lap]
    targets: dict[str, tuple[Tensor, float]]


class Workshop:
    """The session's first recipe on its model. The covariance and the contexts are ready before anything is
    timed."""

    def __init__(self, session: ResearchSession, parts: Parts | None = None) -> None:
        """``parts`` keeps what suites have finished; None: nothing is kept."""
        self.session, self.recipe, self.parts = session, session.recipes[0], parts or Parts()
        self.loaded: LoadedModel = session.app.loaded
        self.decoder: Decoder = discover(self.loaded.model)
        self.layers = self.decoder.edited_layers(self.recipe.layers)
        statistics = RecipeCovariances(self.loaded, self.recipe, session.app.corpus, session.artifacts)
        self.covariances: Covariances = statistics.measure(session.app.work)
        with frozen(self.loaded.model):
            self.prefixes = contexts(
                self.decoder, self.loaded.tokenizer, self.recipe, self.loaded.fingerprint, session.artifacts
            )

    @property
    def sandwich(self) -> bool:
        """Whether a norm follows the MLP: there the published insertion is another computation, and only times
        compare."""
        return self.layers[0].post_mlp_norm is not None

    def brief(self) -> Recipe:
        """The recipe with target vectors of two steps, and without refinement: their quality does not matter here."""
        return replace(self.recipe, steps=2, refine_epochs=0)

    def tasks(self, rewrites: Sequence[Rewrite]) -> list[TokenisedRewrite]:
        """The rewrites as tokens, in their order."""
        found, left_out = tokenise_all(self.loaded.tokenizer, rewrites, self.prefixes, longest_row(self.decoder))
        if left_out:
            raise ValueError(f"a fact of the benchmark can't be edited: {next(iter(left_out.values()))}")
        return found

    def search(self, rewrites: Sequence[Rewrite], work: Work | None = None) -> Made:
        """Search target vectors as the recipe says, and write them by the closed form alone."""
        recipe = replace(self.recipe, refine_epochs=0, press_rounds=0)
        return self.edit(rewrites, recipe, Scratch(self.session.artifacts), work)

    def edit(self, rewrites: Sequence[Rewrite], recipe: Recipe, scratch: Scratch, work: Work | None = None) -> Made:
        """Edit, with each step timed."""
        work = work or self.session.app.work
        steps = Steps(work.progress)
        made = self.session.app.editor(recipe, scratch).edit(rewrites, recipe, work.shown_by(steps))
        by_hash = {content_of(blob): load(blob) for blob in scratch.targets.values()}
        found = {i: by_hash[digest] for i, digest in made.targets.items()}
        return Made(made, steps.laps, {i: (t["goal"], float(t["loss"])) for i, t in found.items()})

    @contextmanager
    def reference(self, recipe: Recipe) -> Iterator[Published]:
        """The baseline on the same model, whose weights are the base's again afterwards."""
        weights = [layer.down.module.weight for layer in self.layers]
        before = [weight.detach().clone() for weight in weights]  # type: ignore[operator]
        with frozen(self.loaded.model):
            try:
                yield Published(self.loaded.model, [(layer.module, layer.down.module) for layer in self.layers], recipe)
            finally:
                with torch.no_grad():
                    for weight, saved in zip(weights, before, strict=True):
                        weight.copy_(saved)  # type: ignore[operator]


def content_of(blob: bytes) -> str:
    """The content hash under which an edit names a target vector."""
    return hashlib.sha256(blob).hexdigest()


def changes(delta: FactorDelta) -> list[Tensor]:
    """Δ of each edited layer, (out, in) float64, in the delta's order of names."""
    return [left.double() @ right.double() for left, right in delta.factors.values()]
