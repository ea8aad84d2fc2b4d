"""``kbsync fact``: decisions from the command line, and where they show."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_decisions_are_made_shown_and_withdrawn(cli: Cli) -> None:
    cli.good("pull")
    pinned = cli.good("fact", "pin", "q183", "P6", "--reason", "so it is", "--json").json
    assert (pinned["action"], pinned["already"], pinned["believed"]) == ("pin", False, ["Olaf Scholz"])
    assert "so it is" in pinned["standing"]
    assert "nothing to do" in cli.good("fact", "pin", "Q183", "P6").out
    assert "so it is" in cli.good("explain", "Q183", "P6").out
    assert "so it is" in cli.good("explain", "Q183", "P6", "--json").json["decision"]
    (standing,) = cli.good("status", "--json").json["decisions"]
    assert (standing["subject"], standing["property"]) == ("Q183", "P6")
    refused = cli("fact", "approve", "Q183", "P6")
    assert refused.code == 1 and "kbsync fact clear Q183 P6" in refused.err
    assert "would be done" in cli.good("fact", "clear", "Q183", "P6", "--dry-run").out
    assert "done: clear Germany (Q183): head-of-government" in cli.good("fact", "clear", "Q183", "P6").out
    assert cli.good("status", "--json").json["decisions"] == []


@pytest.mark.slow
def test_a_dry_run_shows_and_writes_nothing(cli: Cli) -> None:
    cli.good("pull")
    before = cli.good("audit", "log", "--json").json
    shown = cli.good("fact", "pin", "Q183", "P6", "--dry-run", "--json").json
    assert (shown["dry_run"], shown["already"]) == (True, False)
    assert shown["standing"].startswith("pinned by")
    assert cli.good("status", "--json").json["decisions"] == []
    assert cli.good("audit", "log", "--json").json == before


@pytest.mark.slow
def test_an_excluded_fact_is_refused_by_the_plan_by_name(cli: Cli) -> None:
    cli.good("pull")
    cli.good("fact", "exclude", "Q183", "head-of-government", "--reason", "disputed")
    cli.good("probe")
    plan = cli.good("plan", "--json").json
    assert "Q183" not in {e["subject"] for e in plan["entries"]}
    assert any(r["subject"] == "Q183" and "disputed" in r["reason"] for r in plan["refused"])


def test_what_is_not_there_is_said(cli: Cli) -> None:
    cli.good("pull")
    assert cli("fact", "pin", "Q1", "P6").code == 66
    assert cli("fact", "pin", "P6", "P6").code == 65
    assert cli("fact", "pin", "Q183", "nonsense").code == 66
