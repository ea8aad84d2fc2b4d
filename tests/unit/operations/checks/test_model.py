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


def test_fewer_tokens_than_dimensions_are_a_warning(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncovariance_tokens = 10", encoding="utf-8")
    covariance = check(cli("doctor", "--json"), "covariance")
    assert covariance["level"] == "warning" and "a budget of 10 tokens for" in covariance["detail"]
    assert "Raise covariance_tokens" in covariance["next_step"]


def test_a_plan_near_the_recipe_s_capacity_is_a_warning(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncapacity = 100", encoding="utf-8")
    assert "0 facts in the newest plan" in check(cli("doctor", "--json"), "capacity")["detail"]
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncapacity = 2", encoding="utf-8")
    for step in ("pull", "probe", "plan"):
        cli.good(step)
    capacity = check(cli("doctor", "--json"), "capacity")
    assert capacity["level"] == "warning" and "Watch fewer facts" in capacity["next_step"]
