"""The recipe that was found for a base: a file beside the other recipes, with what it rests on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbsync.config import load_recipe
from kbsync.config.recipe_file import AUTO, recipe_text
from kbsync.domain.recipe import Recipe
from kbsync.system.durable import write_file
from kbsync.system.printable import printable


@dataclass(frozen=True, slots=True)
class Found:
    """A recipe that was found."""

    recipe: Recipe
    evidence: dict[str, Any]
    """What it rests on; empty where its file was lost."""


@dataclass(frozen=True, slots=True)
class RecipeShelf:
    """Where the recipe of one base is looked for and written."""

    directories: tuple[Path, ...]
    """It is looked for in all, in this order, and written into the first that can be written."""
    fingerprint: str
    """The base's."""

    @property
    def name(self) -> str:
        return f"{AUTO}-{self.fingerprint[:12]}"

    def read(self) -> Found | None:
        """The recipe; None where none was found yet. Raises ``ConfigError`` for a file that was damaged."""
        for directory in self.directories:
            if (directory / f"{self.name}.toml").is_file():
                beside = directory / f"{self.name}.json"
                evidence = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
                return Found(load_recipe(self.name, directory), evidence)
        return None

    def write(self, recipe: Recipe, comment: str, evidence: dict[str, Any]) -> Path:
        """Write the recipe below the comment, and its evidence beside it; returns the recipe's path.

        The evidence comes first, so that a kill in between leaves no recipe without it.
        """
        directory = next((d for d in self.directories if _writable(d)), self.directories[-1])
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.name}.toml"
        write_file(path.with_suffix(".json"), json.dumps(evidence, indent=1, ensure_ascii=False).encode())
        write_file(path, recipe_text(recipe, printable(comment, keep="\n")).encode())
        return path


def _writable(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK)
