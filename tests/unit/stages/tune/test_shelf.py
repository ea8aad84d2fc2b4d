"""The file of the recipe that was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.stages.tune.shelf import RecipeShelf

RECIPE = Recipe(name="x", layers=(1, 2), covariance_weight=300.0, capacity=40)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    shelf = RecipeShelf((tmp_path,), "f" * 64)
    assert shelf.read() is None
    path = shelf.write(RECIPE, "Found.", {"score": 0.9})
    assert path == tmp_path / "auto-ffffffffffff.toml"
    found = shelf.read()
    assert found is not None
    assert found.recipe == replace(RECIPE, name="auto-ffffffffffff")
    assert found.evidence == {"score": 0.9}
    assert RecipeShelf((tmp_path,), "e" * 64).read() is None, "another base has a recipe of its own"


def test_a_directory_that_can_t_be_written_is_passed_over(tmp_path: Path) -> None:
    shelf = RecipeShelf((tmp_path / "absent", tmp_path / "state"), "f" * 64)
    path = shelf.write(RECIPE, "Found.", {})
    assert path.parent == tmp_path / "state"
    assert shelf.read() is not None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    shelf = RecipeShelf((tmp_path,), "f" * 64)
    shelf.write(RECIPE, "Found.", {}).write_text("layers = ")
    with pytest.raises(ConfigError, match=r"auto-f"):
        shelf.read()


def test_lost_evidence_leaves_the_recipe(tmp_path: Path) -> None:
    shelf = RecipeShelf((tmp_path,), "f" * 64)
    shelf.write(RECIPE, "Found.", {}).with_suffix(".json").unlink()
    found = shelf.read()
    assert found is not None and found.evidence == {}
