"""Checks of the model, through ``kbsync doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.doctor import check, with_model


def test_a_recipe_for_a_deeper_model_fails(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    (tmp_path / "recipes" / "table.toml").write_text("layers = [40]", encoding="utf-8")
    result = cli("doctor", "--json")
    assert result.code == 65
    assert "40" in check(result, "model")["detail"]
