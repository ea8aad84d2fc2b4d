"""Where research runs work: a model, recipes and texts of their own, apart from ledger and versions in use."""

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
from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.storage import Storage
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.config import Configuration, load, load_recipe, shipped_config
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.ports import ArtifactStore, Work
from kbsync.research.grid import UNEDITED, Algorithm, Bench

AGENT = "kbsync bench (https://localhost)"
"""Research asks no source; a configuration whose agent is not filled in yet must not hinder it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What a run is about. ``config``: main file (None: as every command finds it); ``model``: reference (None: the
    configured one); ``recipes``: names or paths (empty: the configured one); ``state``: directory of models and
    finished parts (None: the configured one); ``corpus`` and ``held_out``: files of text (None: the configured)."""

    config: Path | None = None
    model: str | None = None
    recipes: tuple[str, ...] = ()
    state: Path | None = None
    corpus: tuple[Path, ...] | None = None
    held_out: tuple[Path, ...] | None = None


class LabArtifacts(FileArtifactStore):
    """A store of its own that also finds the covariances and contexts of the one in use, and never changes that one."""

    SHARED = ("covariance", "contexts")

    def __init__(self, storage: Storage, in_use: ArtifactStore) -> None:
        super().__init__(storage)
        self._in_use = in_use

    def get(self, kind: str, key: str) -> bytes | None:
        found = super().get(kind, key)
        return self._in_use.get(kind, key) if found is None and kind in self.SHARED else found


class Laboratory:
    """An application without relations, and a store for artifacts and versions that may be deleted after the run."""

    def __init__(self, app: App, recipes: Sequence[Recipe]) -> None:
        self.app = app
        self.recipes = tuple(recipes)
        storage = DiskStorage(app.settings.state_dir / "bench")
        self.artifacts = LabArtifacts(storage.below("artifacts"), app.artifacts)
        self.versions = FileCheckpointStore(storage)

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
        """A line of a benchmark: the recipe's editor over this laboratory's artifacts, its covariance measured on
        ``texts`` (None: the configured ones; empty: text that the model samples)."""
        own = list(self.app.corpus if texts is None else texts)
        editor = partial(self.app.editor, recipe, self.artifacts, own)
        return Algorithm(name or recipe.name, recipe, editor, content_hash(own))

    def algorithms(self, most: Mapping[str, int] | None = None) -> list[Algorithm]:
        """All recipes as lines, each named after its algorithm where that tells them apart, else after the recipe.
        ``most``: where a recipe's line ends, by the recipe's name."""
        names = [recipe.algorithm for recipe in self.recipes]
        if len(set(names)) < len(names):
            names = [recipe.name for recipe in self.recipes]
        lines = [self.algorithm(recipe, name) for recipe, name in zip(self.recipes, names, strict=True)]
        return [replace(line, most=(most or {}).get(line.recipe.name)) for line in lines]


@contextmanager
def laboratory(materials: Materials, work: Work) -> Iterator[Laboratory]:
    """Raises ``ConfigError`` for a configuration, recipe or text that is not there."""
    settings = load(materials.config, _overrides(materials))
    recipes = [_recipe(name, settings.recipes_dir) for name in materials.recipes or (settings.edit.recipe,)]
    if UNEDITED in {recipe.name for recipe in recipes}:
        raise ConfigError([f"a recipe must not be named {UNEDITED!r}: that is the line of the base"])
    configuration = Configuration(settings=settings, relations=(), recipe=recipes[0])
    with closing(App(configuration, actor="bench", work=work)) as app:
        yield Laboratory(app, recipes)


def model_name(reference: str) -> str:
    """``package:gemma3-270m`` → ``gemma3-270m``; ``owner/Name-1B@rev`` → ``name-1b``; a path → its last part."""
    last = (
        shown_reference(reference).removeprefix("package:").removesuffix(".gguf").rpartition("/")[2].partition("@")[0]
    )
    return re.sub(r"[^a-z0-9.]+", "-", last.lower()).strip("-.") or "model"


def shown_reference(reference: str) -> str:
    """A path without its directories: evidence names the model, and the fingerprint beside it says which."""
    return Path(reference).name if reference.startswith(("/", ".", "~")) else reference


def _overrides(materials: Materials) -> dict[str, Any]:
    def paths(files: Sequence[Path]) -> list[str]:
        return [str(path.absolute()) for path in files]

    text: dict[str, Any] = {}
    if materials.corpus is not None:
        text |= {"corpus": paths(materials.corpus), "datasets": []}
    if materials.held_out is not None:
        text["held_out"] = paths(materials.held_out)
    found: dict[str, Any] = {"source": {"user_agent": AGENT}, "text": text}
    if materials.model:
        is_path = materials.model.startswith((".", "~", "/"))
        reference = str(Path(materials.model).expanduser().absolute()) if is_path else materials.model
        found["model"] = {"reference": reference}
    if materials.state:
        found["state_dir"] = str(materials.state.absolute())
    return found


def _recipe(name: str, directory: Path) -> Recipe:
    """A configured recipe, or one that is shipped."""
    shipped: Mapping[str, str] = shipped_config()
    text = shipped.get(f"recipes/{name}.toml")
    if text is None or (directory / f"{name}.toml").is_file():
        return load_recipe(name, directory)
    with TemporaryDirectory() as place:
        (Path(place) / f"{name}.toml").write_text(text, encoding="utf-8")
        return load_recipe(name, Path(place))
