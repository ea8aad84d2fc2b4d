"""The recipe is found unless one is named, and for how long it is looked for is a setting."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.config import load_all
from kbsync.domain.errors import ConfigError

MAIN = '[source]\nuser_agent = "x@y"\n[model]\nreference = "a/b"\n'


def written(directory: Path, more: str = "") -> Path:
    (directory / "relations").mkdir(exist_ok=True)
    (directory / "relations" / "capital.toml").write_text(
        'property = "P36"\nlabel = "capital"\nsubjects = ["Q142"]\n'
        'phrasings.edit.statement = ["The capital of {} is"]\n'
    )
    (directory / "kbsync.toml").write_text(MAIN + more)
    return directory / "kbsync.toml"


def test_no_recipe_has_to_be_named(tmp_path: Path) -> None:
    configuration = load_all(written(tmp_path))
    assert configuration.recipe is None
    assert configuration.settings.edit.recipe == "auto"
    assert configuration.settings.tune.budget == timedelta(minutes=20)


def test_the_budget_is_a_duration(tmp_path: Path) -> None:
    settings = load_all(written(tmp_path, '[tune]\nbudget = "2h"\n')).settings
    assert settings.tune.budget == timedelta(hours=2)
    with pytest.raises(ConfigError, match=r"tune\.budget"):
        load_all(written(tmp_path, '[tune]\nbudget = "0s"\n'))


def test_a_named_recipe_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no recipe 'mine'"):
        load_all(written(tmp_path, '[edit]\nrecipe = "mine"\n'))
