"""The key covariance of a real (random) model: what is missing, what is measured, and what an edit will find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.operations.covariance import StatsView, build
from tests.support.site import Site


@pytest.fixture
def stats(site: Site) -> Callable[..., StatsView]:
    def stats(*, layers: tuple[int, ...] = (), tokens: int = 0, **more: bool) -> StatsView:
        with site.app() as app:
            recipe = app.recipe
            recipe = replace(recipe, layers=layers or recipe.layers)
            recipe = replace(recipe, covariance_tokens=tokens or recipe.covariance_tokens)
            return build(app, recipe, **{"as_configured": True} | more)

    return stats


def test_a_dry_run_says_what_is_missing_and_measures_nothing(stats: Callable[..., StatsView], site: Site) -> None:
    view = stats(dry_run=True)
    assert [(s.layer, s.tokens, s.known, s.rank_possible) for s in view.layers] == [
        (0, None, False, True),
        (1, None, False, True),
    ]
    assert (view.source, view.texts, view.budget, view.fingerprint) == ("text", 20, 400, None)
    assert not (site.state / "artifacts").exists()


@pytest.mark.slow
def test_what_is_measured_is_known_and_measured_again_on_demand(stats: Callable[..., StatsView]) -> None:
    first = stats()
    assert [(s.tokens, s.known) for s in first.layers] == [(400, False)] * 2
    again = stats()
    assert [(s.tokens, s.known) for s in again.layers] == [(400, True)] * 2
    anew = stats(anew=True)
    assert [(s.tokens, s.known) for s in anew.layers] == [(400, False)] * 2
    assert first.fingerprint == again.fingerprint == anew.fingerprint is not None
    assert first.bytes == 2 * 8 * first.layers[0].width ** 2


@pytest.mark.slow
def test_an_edit_finds_it_where_layers_budget_and_text_are_its_own(stats: Callable[..., StatsView]) -> None:
    assert stats(dry_run=True).used_by_edits
    assert stats(dry_run=True, layers=(0, 1, 2)).used_by_edits, "more layers than an edit needs"
    assert not stats(dry_run=True, layers=(0,)).used_by_edits
    assert not stats(dry_run=True, tokens=300).used_by_edits
    assert not stats(dry_run=True, as_configured=False).used_by_edits


def test_fewer_tokens_than_dimensions_can_not_have_full_rank(stats: Callable[..., StatsView]) -> None:
    view = stats(tokens=10)
    assert [(s.tokens, s.rank_possible) for s in view.layers] == [(10, False)] * 2


@pytest.mark.slow
def test_without_a_text_the_model_samples(site: Site) -> None:
    text = site.config.read_text().replace('corpus = ["corpus.txt"]', "corpus = []")
    site.config.write_text(text)
    with site.app() as app:
        view = build(app, app.recipe, as_configured=True)
    assert (view.source, view.texts) == ("model", 0)
    assert all(s.tokens is not None and s.tokens >= 400 for s in view.layers)
    assert Path(site.state / "artifacts").is_dir()
