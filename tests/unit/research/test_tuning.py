"""A recipe that was found, as a file."""

from __future__ import annotations

from pathlib import Path

from kbsync.config import load_recipe
from kbsync.config.recipe_file import recipe_text
from kbsync.domain.recipe import Recipe


def test_a_recipe_reads_back_as_it_was(tmp_path: Path) -> None:
    recipe = Recipe(
        name="mine",
        layers=(3, 4),
        covariance_weight=1e-6,
        contexts=('A "quoted" \\ {}', "naïve 😀 \x7f {}"),
        relative_step=False,
    )
    text = recipe_text(recipe, "Says where it comes from.\n" + "word " * 60)
    assert all(len(line) < 121 for line in text.splitlines() if line.startswith("#"))
    assert "steps" not in text, "defaults are left out"
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    assert load_recipe("mine", tmp_path) == recipe
