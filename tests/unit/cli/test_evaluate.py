"""``kbsync evaluate``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_it_shows_each_figure_beside_the_base_s_and_what_the_gate_says(cli: Cli) -> None:
    for step in ("pull", "probe", "plan", "edit"):
        cli.good(step)
    view = cli.good("evaluate", "--json").json
    figures = {m["name"]: (m["base"], m["value"]) for m in view["metrics"]}
    assert figures["efficacy"] == (0.0, 1.0) and figures["specificity"] == (1.0, 1.0)
    assert view["passed"] is True
    shown = cli.good("evaluate", "1").out
    assert "efficacy" in shown and "already" in shown


@pytest.mark.slow
def test_a_dry_run_says_on_how_much_each_figure_would_rest(cli: Cli) -> None:
    for step in ("pull", "probe", "plan", "edit"):
        cli.good(step)
    foreseen = cli.good("evaluate", "--dry-run", "--json").json
    assert foreseen["samples"]["efficacy"] == 2
    assert cli.good("status", "--json").json["current"] is None
