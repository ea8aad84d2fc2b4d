"""What a search for a recipe begins with on a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.bootstrap.tuning import SiteRecipe, start_recipe
from kbsync.config import Settings
from kbsync.domain.errors import NotFound


def test_every_search_starts_from_a_recipe_that_writes_all_phrasings_and_claims_no_capacity() -> None:
    recipe = start_recipe()
    assert (recipe.phrasings, recipe.capacity) == ("all", 0)
    assert recipe.refine_epochs > 0
    assert recipe.guard_count >= 1000, "development facts are of the guarded half"


def test_a_recipe_is_looked_for_beside_the_others_and_in_the_state_directory() -> None:
    settings = Settings.model_validate({"source": {"user_agent": "x@y"}, "model": {"reference": "a/b"}})
    shelf = SiteRecipe(None, settings, lambda: "f" * 64).shelf
    assert shelf.directories == (settings.recipes_dir, settings.state_dir / "recipes")


def test_a_named_recipe_is_not_looked_for() -> None:
    settings = Settings.model_validate({"source": {"user_agent": "x@y"}, "model": {"reference": "a/b"}})
    named = start_recipe()

    def fingerprint() -> str:
        raise AssertionError("the model is looked for")

    assert SiteRecipe(named, settings, fingerprint).required(rehearsing=False) is named


def test_before_one_is_found_only_a_rehearsal_has_a_recipe(tmp_path: Path) -> None:
    described = {"source": {"user_agent": "x@y"}, "model": {"reference": "a/b"}, "recipes_dir": str(tmp_path)}
    recipes = SiteRecipe(None, Settings.model_validate(described), lambda: "f" * 64)
    assert recipes.known is None
    assert recipes.required(rehearsing=True) == start_recipe()
    with pytest.raises(NotFound, match="No recipe was found") as raised:
        recipes.required(rehearsing=False)
    assert "kbsync recipe tune" in raised.value.next_step
