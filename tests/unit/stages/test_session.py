"""A session: the leases that a stage holds, how they are kept alive, and how one waits for another's."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import Busy, LeaseLost, Stopped
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.session import Run, puller, writer
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401
from tests.support.stage_world import START, TTL, FixedClock


@pytest.fixture
def run(ledger: SqlLedger) -> Run:
    return Run(ledger=ledger, clock=FixedClock(START), work=Work(), actor="test")


def later(run: Run, span: timedelta) -> None:
    run.clock.sleep(span.total_seconds())


def test_a_checkpoint_renews_the_lease_once_half_of_its_time_is_over(run: Run) -> None:
    with writer(run, TTL) as held:
        first = held.lease.expires
        later(run, TTL / 4)
        held.run.work.checkpoint()
        assert held.lease.expires == first
        later(run, TTL / 4)
        held.run.work.advance()
        assert held.lease.expires == first + TTL / 2


def test_both_leases_of_a_cycle_that_pulls_are_kept_alive(run: Run) -> None:
    with writer(run, TTL) as held, held.pulling() as pulling:
        first = held.lease.expires
        later(run, TTL / 2)
        pulling.work.checkpoint()
        assert held.lease.expires == first + TTL / 2
        later(run, TTL * 3 / 4)
        pulling.work.checkpoint()


def test_stalled_work_loses_its_lease(run: Run) -> None:
    with pytest.raises(LeaseLost), writer(run, TTL) as held:
        later(run, 2 * TTL)
        with writer(replace(run, actor="another"), TTL):
            held.run.work.checkpoint()


def test_who_waits_for_a_lease_waits_by_the_clock_and_notices_a_stop(run: Run) -> None:
    def stop() -> None:
        raise Stopped("A stop was asked for.")

    with puller(run, TTL):
        began = run.clock.now()
        with pytest.raises(Busy), puller(run, TTL, timedelta(seconds=2)):
            pass
        assert run.clock.now() - began == timedelta(seconds=2)
        with pytest.raises(Stopped), puller(replace(run, work=Work(checks=[stop])), TTL, timedelta(seconds=2)):
            pass
