"""``kbsync lease break``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_a_lease_is_broken_on_the_record(cli: Cli) -> None:
    assert "nobody holds" in cli.good("lease", "break", "writer", "--reason", "x").out
    with cli.world.ledger.write() as tx:
        tx.acquire_lease("writer", "daemon on c0ffee", timedelta(minutes=10), cli.world.clock.now())
    assert cli("sync").code == 75
    assert "would take" in cli.good("lease", "break", "writer", "--reason", "x", "--dry-run").out
    broken = cli.good("lease", "break", "writer", "--reason", "that machine is gone", "--json").json
    assert (broken["lease"], broken["holder"]) == ("writer", "daemon on c0ffee")
    event = cli.good("audit", "log", "--json").json[-1]
    assert event["kind"] == "break-lease" and event["body"]["reason"] == "that machine is gone"
    cli.good("sync")
