"""What a recipe is found with: the parts of one site."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from kbsync.config import load_recipe, shipped_config
from kbsync.config.settings import Settings
from kbsync.domain.errors import NotFound
from kbsync.domain.recipe import Recipe
from kbsync.ports import UNWATCHED, ArtifactStore, Editor, LayerTrace, LayerTracer, TracedFact, Work
from kbsync.stages.tune.shelf import RecipeShelf
from kbsync.stages.tune.tune import Tuning
from kbsync.text import site_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
    from kbsync.model.load import LoadedModel

START = "gemma-3-270m"
"""The shipped recipe that gives every field that no search looks for: it writes facts in all their phrasings."""


@cache
def start_recipe() -> Recipe:
    """The recipe that every search starts from; nothing in it is another model's."""
    with TemporaryDirectory() as place:
        (Path(place) / "start.toml").write_text(shipped_config()[f"recipes/{START}.toml"], encoding="utf-8")
        return replace(load_recipe("start", Path(place)), capacity=0)


class SiteRecipe:
    """The recipe of one site: one that is named, or one that is found for its base."""

    def __init__(self, named: Recipe | None, settings: Settings, fingerprint: Callable[[], str]) -> None:
        """``named`` is None where the recipe is to be found for the base with this fingerprint."""
        self.named = named
        self._settings, self._fingerprint = settings, fingerprint

    @cached_property
    def shelf(self) -> RecipeShelf:
        """Beside the other recipes or, where nobody may write there, in the state directory."""
        settings = self._settings
        return RecipeShelf((settings.recipes_dir, settings.state_dir / "recipes"), self._fingerprint())

    @property
    def known(self) -> Recipe | None:
        """The named or the found one; None where none was found yet."""
        if self.named is not None:
            return self.named
        found = self.shelf.read()
        return found.recipe if found else None

    def required(self, *, rehearsing: bool) -> Recipe:
        """The same, or in a rehearsal the one that every search starts from; else raises ``NotFound``."""
        if (recipe := self.known) is not None:
            return recipe
        if rehearsing:
            return start_recipe()
        raise NotFound(
            "No recipe was found for this base yet.",
            next_step="`kbsync sync` finds one before its first edit; `kbsync recipe tune` does nothing else.",
        )


class Parts(Protocol):
    """What a search needs of an application."""

    settings: Settings
    work: Work

    @property
    def recipes(self) -> SiteRecipe: ...

    @property
    def loaded(self) -> LoadedModel: ...

    @property
    def artifacts(self) -> ArtifactStore: ...

    @property
    def corpus(self) -> Sequence[str]: ...

    def statistics(self, recipe: Recipe, texts: Sequence[str]) -> RecipeCovariances: ...

    def editor(self, recipe: Recipe | None = None) -> Editor: ...


def tuning_of(parts: Parts) -> Tuning:
    """What a recipe is found with; nothing is loaded yet."""

    def measure_covariances(recipe: Recipe) -> None:
        parts.statistics(recipe, parts.corpus).measure(parts.work)

    return Tuning(
        start=replace(start_recipe(), dtype=parts.settings.model.dtype),
        shelf=parts.recipes.shelf,
        tracer=DeferredTracer(lambda: parts.loaded, parts.artifacts),
        editor=parts.editor,
        covariances=measure_covariances,
        texts=site_texts.development(parts.settings.text),
        budget=parts.settings.tune.budget,
    )


class DeferredTracer(LayerTracer):
    """Loads the model when it is first asked."""

    def __init__(self, load: Callable[[], LoadedModel], artifacts: ArtifactStore) -> None:
        self._load, self._artifacts = load, artifacts

    def trace(self, facts: Sequence[TracedFact], *, work: Work = UNWATCHED) -> LayerTrace:
        from kbsync.editing.tracing.layer_tracer import TorchLayerTracer

        return TorchLayerTracer(self._load(), self._artifacts).trace(facts, work=work)
