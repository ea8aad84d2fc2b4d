"""``kbsync daemon``: what a dry run says of the schedule."""

from __future__ import annotations

from tests.support.cli import Cli


def test_a_dry_run_shows_the_schedule_and_starts_nothing(cli: Cli) -> None:
    view = cli.good("daemon", "--dry-run", "--json").json
    assert [job["name"] for job in view["jobs"]] == ["sync"]
    assert "sync" in cli.good("daemon", "--dry-run").out
    assert cli.good("audit", "log", "--json").json == []
