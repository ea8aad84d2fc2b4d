"""Checks of the ledger, through ``kbsync doctor``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kbsync.ports import Work
from kbsync.stages.session import Run, writer
from tests.support.doctor import check
from tests.support.stage_world import TTL


def test_the_holder_of_the_lease_is_named(cli: Any) -> None:
    with writer(Run(ledger=cli.world.ledger, clock=cli.world.clock, work=Work(), actor="somebody"), TTL):
        found = check(cli("doctor", "--json"), "lease")
    assert found["level"] == "warning" and "somebody" in found["detail"]


def test_a_clock_behind_the_ledger_is_a_warning(cli: Any) -> None:
    cli.world.sync()
    cli.world.clock.time -= timedelta(hours=2)
    found = check(cli("doctor", "--json"), "clock")
    assert found["level"] == "warning"
    assert "2:00:00 ahead of this machine's clock" in found["detail"] and "NTP" in found["next_step"]


def test_asking_for_the_lease_leaves_no_trace(cli: Any) -> None:
    cli.good("pull")
    with cli.world.ledger.write() as tx:
        before = tx.acquire_lease("writer", "test", TTL, cli.world.clock.now())
        tx.release_lease(before)
    cli("doctor")
    with cli.world.ledger.write() as tx:
        after = tx.acquire_lease("writer", "test", TTL, cli.world.clock.now())
        tx.release_lease(after)
    assert after.token == before.token + 1


def test_a_ledger_that_another_site_works_with_is_a_warning(cli: Any) -> None:
    cli.world.sync()
    assert check(cli("doctor", "--json"), "database")["level"] == "ok"
    for version_hash in cli.world.store.hashes():
        del cli.world.store.versions[version_hash]
    found = check(cli("doctor", "--json"), "database")
    assert found["level"] == "warning"
    assert "another site works with this ledger" in found["detail"] and "?schema=" in found["next_step"]
