"""``kbsync pull``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.cli import Cli

FAR = datetime(2099, 1, 1, tzinfo=UTC)


def test_a_first_pull_fetches_everything_and_the_next_one_nothing(cli: Cli) -> None:
    first = cli.good("pull").out
    assert "3 items of 3 had a new revision" in first
    assert "statements: 7 added, 0 changed, 0 removed" in first
    assert cli.good("pull").out.startswith("already up to date: 3 items watched")


def test_one_relation_is_pulled_alone_and_an_unknown_one_is_refused(cli: Cli) -> None:
    assert cli.good("pull", "--relation", "capital", "--json").json["watched"] == 3
    unknown = cli("pull", "--relation", "capitol")
    assert unknown.code == 66 and "capitol" in unknown.err


def test_a_dry_run_leaves_the_ledger_as_it_was(cli: Cli) -> None:
    assert cli.good("pull", "--dry-run", "--json").json["fetched"] == 3
    assert cli.good("status", "--json").json["relations"][0]["believed"] == 0


@pytest.mark.slow
def test_a_time_that_has_not_come_yet_is_refused_told_and_set_right(cli: Cli) -> None:
    cli.good("pull")
    cli.world.source.now = FAR
    refused = cli("pull")
    assert refused.code == 76 and "2099-01-01" in refused.err
    assert "The last pull was refused" in cli.good("status").out
    with cli.world.ledger.write() as tx:
        tx.set_watermark(cli.world.source.name, FAR)
    cli.world.pass_time(timedelta(hours=1))
    assert "--accept-time" in cli("pull").err
    assert "--accept-time" in cli("doctor").out
    cli.good("pull", "--accept-time")
    assert "has not come yet" not in cli.good("status").out
    cli.good("pull")
