"""Checks of the model, through ``kbsync doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbsync.operations.checks.doubt import Doubt
from kbsync.operations.checks.model import chat, dtype, dtype_told
from tests.support.doctor import check, with_model
from tests.support.site import Site, with_template


@pytest.mark.slow
def test_a_recipe_for_a_deeper_model_fails(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    (tmp_path / "recipes" / "table.toml").write_text("layers = [40]", encoding="utf-8")
    result = cli("doctor", "--json")
    assert result.code == 65
    assert "40" in check(result, "model")["detail"]


@pytest.mark.slow
def test_fewer_tokens_than_dimensions_are_a_warning(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncovariance_tokens = 10", encoding="utf-8")
    covariance = check(cli("doctor", "--json"), "covariance")
    assert covariance["level"] == "warning" and "a budget of 10 tokens for" in covariance["detail"]
    assert "Raise covariance_tokens" in covariance["next_step"]


@pytest.mark.slow
def test_a_plan_near_the_recipe_s_capacity_is_a_warning(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncapacity = 100", encoding="utf-8")
    assert "0 facts in the newest plan" in check(cli("doctor", "--json"), "capacity")["detail"]
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncapacity = 2", encoding="utf-8")
    for step in ("pull", "probe", "plan"):
        cli.good(step)
    capacity = check(cli("doctor", "--json"), "capacity")
    assert capacity["level"] == "warning" and "Watch fewer facts" in capacity["next_step"]


def test_a_chat_model_needs_room_for_the_words_before_the_name(site: Site) -> None:
    with site.app() as app:
        assert chat(app) == "asked by plain completion"
    site = with_template(site)
    with site.app() as app, pytest.raises(Doubt, match="answers end after 10 tokens") as doubt:
        chat(app)
    assert doubt.value.next_step == "Set `base_answer_tokens = 24` in [model]."
    site.config.write_text(site.config.read_text().replace("[edit]", "base_answer_tokens = 24\n[edit]"))
    with site.app() as app:
        assert chat(app) == "asked through its chat template"


def test_what_a_dtype_costs_here(site: Site) -> None:
    with site.app() as app:
        assert dtype(app).startswith("float32")
    assert dtype_told("float32", 1.2) == "float32"
    assert dtype_told("float32", 4.46).startswith("float32; bfloat16 multiplies 4.5 times as fast here")
    assert dtype_told("bfloat16", 4.5) == "bfloat16"
    with pytest.raises(Doubt, match=r"2\.0 times as long here as in float32") as doubt:
        dtype_told("bfloat16", 0.5)
    assert 'dtype = "float32"' in doubt.value.next_step
