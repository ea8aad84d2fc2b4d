"""A lease that is held: work without checkpoints keeps it, work that hangs or runs in circles loses it."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.bootstrap.adapters import SystemClock
from kbsync.domain.errors import Busy, LeaseLost
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages import held_lease
from kbsync.stages.session import WRITER, Run, puller, writer
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401

TTL = timedelta(seconds=1.2)


@pytest.fixture
def run(ledger: SqlLedger) -> Run:
    return Run(ledger=ledger, clock=SystemClock(), work=Work(), actor="test")


def works(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Use the processor, as a long step does that never asks whether it may go on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        sum(range(1000))


def is_free(run: Run) -> bool:
    try:
        with writer(replace(run, actor="another"), TTL):
            return True
    except Busy:
        return False


@pytest.mark.slow
def test_work_without_a_checkpoint_keeps_both_leases(run: Run) -> None:
    with writer(run, TTL) as held, held.pulling() as pulling:
        first = held.lease
        works(2 * TTL.total_seconds())
        assert not is_free(run)
        with pytest.raises(Busy), puller(replace(run, actor="another"), TTL):
            pass
        assert held.lease.token == first.token
        assert held.lease.expires > first.expires + TTL / 2
        pulling.work.checkpoint()


@pytest.mark.slow
def test_a_worker_that_hangs_loses_its_lease_and_is_told(run: Run) -> None:
    with pytest.raises(LeaseLost), writer(run, TTL) as held:
        time.sleep(1.3 * TTL.total_seconds())
        assert is_free(run)
        held.run.work.checkpoint()


@pytest.mark.slow
def test_a_worker_that_runs_in_circles_loses_its_lease(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_lease, "LONGEST_STEP", TTL / 4)
    with pytest.raises(LeaseLost), writer(run, TTL) as held:
        works(3 * TTL.total_seconds(), until=lambda: held.lease.expires < run.clock.now())
        assert is_free(run)
        held.run.work.checkpoint()


@pytest.mark.slow
def test_a_lease_that_was_broken_is_not_taken_back(run: Run) -> None:
    with pytest.raises(LeaseLost), writer(run, TTL) as held:
        with run.ledger.write() as tx:
            tx.break_lease(WRITER)
        works(TTL.total_seconds())
        with run.ledger.read() as tx:
            assert tx.held_lease(WRITER) is None
        held.run.work.checkpoint()
