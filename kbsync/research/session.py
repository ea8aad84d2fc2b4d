"""The model, recipes, texts and stores of a research run. It touches no ledger and no version in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kbsync.bootstrap import App
from kbsync.bootstrap.tuning import START
from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.storage import Storage
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.config import Configuration, load, load_recipe, shipped_config
from kbsync.config.recipe_file import AUTO
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.ports import ArtifactStore, Work
from kbsync.research.grid import UNEDITED, Algorithm, Bench
from kbsync.research.refinement import SHARDED, places, ways
from kbsync.research.shards import ShardedEditor
from kbsync.research.wording import in_shipped_phrasings

AGENT = "kbsync bench (https://localhost)"
"""Research asks no source, so it also runs with a configuration whose agent is not filled in yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What a run takes instead of the configured things. None, or no recipe: the configured one."""

    config: Path | None = None
    """Main configuration file. None: it is looked for as every command does."""
    model: str | None = None
    """Reference of the model."""
    recipes: tuple[str, ...] = ()
    """Names or paths. Where none are named: the configured one or, if that is to be found, the one that every search
    starts from."""
    state: Path | None = None
    """Directory of models and finished parts."""
    corpus: tuple[Path, ...] | None = None
    """Files of text for the key covariance."""
    held_out: tuple[Path, ...] | None = None
    """Files of text for the perplexity."""


class SessionArtifacts(FileArtifactStore):
    """The run's own store. It also reads covariances, their factors and contexts from the configured store, and
    never writes there."""

    SHARED = ("covariance", "contexts", "factor")

    def __init__(self, storage: Storage, in_use: ArtifactStore) -> None:
        super().__init__(storage)
        self._in_use = in_use

    def get(self, kind: str, key: str) -> bytes | None:
        own = super().get(kind, key)
        return self._in_use.get(kind, key) if own is None and kind in self.SHARED else own


class ResearchSession:
    """An application without relations, with stores for artifacts and versions that may be deleted after the run."""

    def __init__(self, app: App, recipes: Sequence[Recipe]) -> None:
        self.app = app
        self.recipes = tuple(recipes)
        storage = DiskStorage(app.settings.state_dir / "bench")
        self.artifacts = SessionArtifacts(storage.below("artifacts"), app.artifacts)
        self.versions = FileCheckpointStore(storage)

    def in_all_phrasings(self, name: str, data: Path, properties: Path | None) -> Algorithm:
        """A line, ``phrasings``, that writes CounterFact's cases in the shipped phrasings of their relations.

        Args:
            name: Of a recipe that writes all phrasings, configured or shipped.
            data: CounterFact's file.
            properties: Records with the cases' properties, where those of ``data`` have none.

        Raises:
            ConfigError: There is no such recipe, or it writes one phrasing only.
            DataError: A file can't be read, or no case has a property.
        """
        settings = self.app.settings
        recipe = _recipe(name, settings.recipes_dir, settings.model.dtype)
        if recipe.phrasings != "all":
            raise ConfigError([f'recipe {name!r} writes one phrasing of each fact; set phrasings = "all" in it'])
        return replace(self.algorithm(recipe, "phrasings"), wording=in_shipped_phrasings(data, properties))

    @property
    def model_name(self) -> str:
        """The model's name as part of a file name."""
        return model_name(self.app.settings.model.reference)

    def bench(self) -> Bench:
        """Loads the model."""
        app = self.app
        return Bench(
            loaded=replace(app.loaded, reference=shown_reference(app.loaded.reference)),
            base=app.base,
            artifacts=self.artifacts,
            versions=self.versions,
            clock=app.clock,
            work=app.work,
            held_out=app.held_out,
        )

    def algorithm(self, recipe: Recipe, name: str | None = None, texts: Sequence[str] | None = None) -> Algorithm:
        """A line of a benchmark: the recipe's editor, which keeps its artifacts in this session's store.

        Args:
            recipe: What the editor follows.
            name: Of the line; None: the recipe's.
            texts: What the key covariance is measured on. None: the configured texts; empty: text that the model
                samples.
        """
        corpus = list(self.app.corpus if texts is None else texts)
        editor = partial(self.app.editor, recipe, self.artifacts, corpus)
        return Algorithm(name or recipe.name, recipe, editor, content_hash(corpus))

    def refinement_lines(self, recipe: Recipe) -> list[Algorithm]:
        """The lines of a refinement's ablation: what is left out of it, and where else the change goes."""
        lines = [self.algorithm(one, name) for name, one in (*ways(recipe), *places(recipe))]
        return [_sharded(line) if line.name == SHARDED else line for line in lines]

    def algorithms(self, most: Mapping[str, int] | None = None) -> list[Algorithm]:
        """All recipes as lines: named after their algorithms if these differ, else after the recipes.

        Args:
            most: The most edits of a recipe's line, by the recipe's name.
        """
        names = [recipe.algorithm for recipe in self.recipes]
        if len(set(names)) < len(names):
            names = [recipe.name for recipe in self.recipes]
        lines = [self.algorithm(recipe, name) for recipe, name in zip(self.recipes, names, strict=True)]
        return [replace(line, most=(most or {}).get(line.recipe.name)) for line in lines]


def _sharded(line: Algorithm) -> Algorithm:
    """The same recipe by another editor, so its edits have other keys than those of the line."""
    return replace(line, editor=lambda: ShardedEditor(line.editor()), inputs=content_hash([SHARDED, line.inputs]))


@contextmanager
def research_session(options: SessionOptions, work: Work) -> Iterator[ResearchSession]:
    """Open a session and close it afterwards.

    Raises:
        ConfigError: A configuration, recipe or text is missing.
    """
    settings = load(options.config, _overrides(options))
    configured = START if settings.edit.recipe == AUTO else settings.edit.recipe
    dtype = settings.model.dtype
    recipes = [_recipe(name, settings.recipes_dir, dtype) for name in options.recipes or (configured,)]
    if UNEDITED in {recipe.name for recipe in recipes}:
        raise ConfigError([f"a recipe must not be named {UNEDITED!r}: that is the line of the base"])
    configuration = Configuration(settings=settings, relations=(), recipe=recipes[0])
    with closing(App(configuration, actor="bench", work=work)) as app:
        yield ResearchSession(app, recipes)


def model_name(reference: str) -> str:
    """``package:gemma3-270m`` → ``gemma3-270m``; ``owner/Name-1B@rev`` → ``name-1b``; a path → its last part."""
    last = (
        shown_reference(reference).removeprefix("package:").removesuffix(".gguf").rpartition("/")[2].partition("@")[0]
    )
    return re.sub(r"[^a-z0-9.]+", "-", last.lower()).strip("-.") or "model"


def shown_reference(reference: str) -> str:
    """A path without its directories: evidence names the model, and the fingerprint beside it says which."""
    return Path(reference).name if reference.startswith(("/", ".", "~")) else reference


def _overrides(options: SessionOptions) -> dict[str, Any]:
    def paths(files: Sequence[Path]) -> list[str]:
        return [str(path.absolute()) for path in files]

    text: dict[str, Any] = {}
    if options.corpus is not None:
        text |= {"corpus": paths(options.corpus), "datasets": []}
    if options.held_out is not None:
        text["held_out"] = paths(options.held_out)
    overrides: dict[str, Any] = {"source": {"user_agent": AGENT}, "text": text}
    if options.model:
        is_path = options.model.startswith((".", "~", "/"))
        reference = str(Path(options.model).expanduser().absolute()) if is_path else options.model
        overrides["model"] = {"reference": reference}
    if options.state:
        overrides["state_dir"] = str(options.state.absolute())
    return overrides


def _recipe(name: str, directory: Path, dtype: str) -> Recipe:
    """A configured recipe, or one that is shipped."""
    shipped: Mapping[str, str] = shipped_config()
    text = shipped.get(f"recipes/{name}.toml")
    if text is None or (directory / f"{name}.toml").is_file():
        return load_recipe(name, directory, dtype)
    with TemporaryDirectory() as place:
        (Path(place) / f"{name}.toml").write_text(text, encoding="utf-8")
        return load_recipe(name, Path(place), dtype)
