"""notify: every move is told, in order, until it is taken; a kill in between doubles nothing that an id can't tell."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.domain.announcement import Announcement
from kbsync.domain.version import CURRENT, VersionState
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Clock, Work
from kbsync.stages.notify import NotifyResult, Published, RetryPolicy, count_waiting, forget_newest, introduce, notify
from kbsync.stages.session import Run
from kbsync.testing import FakeNotifier
from kbsync.testing.samples import HOUR, NOW, edit_plan
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401

HERE = Published("/state/current", lambda _version, _base: Path("/state/nowhere"))
PATIENCE = RetryPolicy(attempts=3, give_up=7)


class Still(Clock):
    """A clock that stands still, and notes how long it was asked to wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return sum(self.waits)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def run(ledger: SqlLedger) -> Run:
    for target in ("Ada", "Bob"):
        plan = edit_plan(target)
        with ledger.write() as tx:
            version = tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
            tx.set_version_state(version.number, VersionState.CANDIDATE, version_hash=target * 20)
    return Run(ledger=ledger, clock=Still(), work=Work(), actor="test")


def move(run: Run, number: int) -> None:
    with run.ledger.write() as tx:
        lease = tx.acquire_lease("writer", "test", HOUR, NOW)
        tx.move_alias(CURRENT, number, lease, NOW + timedelta(seconds=lease.token))
        tx.release_lease(lease)


def told(run: Run, notifier: FakeNotifier) -> NotifyResult:
    return notify(run, [notifier], HERE, PATIENCE)


def waits(run: Run) -> float:
    """Seconds that were waited so far."""
    assert isinstance(run.clock, Still)
    return sum(run.clock.waits)


def recorded(run: Run) -> list[tuple]:
    with run.ledger.read() as tx:
        return [tuple(e.body[k] for k in ("version", "attempt", "outcome")) for e in tx.audit(kind="notify")]


def test_moves_are_told_once_and_in_order(run: Run) -> None:
    notifier = FakeNotifier()
    move(run, 1)
    introduce(run, [notifier])
    assert not count_waiting(run, [notifier]), "a new notifier hears of what moves from now on"
    for number in (2, 1, 0):
        move(run, number)
    introduce(run, [notifier])
    assert count_waiting(run, [notifier])
    assert told(run, notifier) == NotifyResult(delivered=3)
    assert [(a.version, a.hash) for a in notifier.heard] == [(2, "Bob" * 20), (1, "Ada" * 20), (0, None)]
    assert len({a.delivery for a in notifier.heard}) == 3
    assert told(run, notifier) == NotifyResult()
    assert recorded(run) == [(2, 1, "delivered"), (1, 1, "delivered"), (0, 1, "delivered")]


def test_it_is_told_again_after_waits_that_grow_and_in_a_later_run(run: Run) -> None:
    notifier = FakeNotifier()
    introduce(run, [notifier])
    move(run, 1)
    notifier.deaf = True
    assert told(run, notifier) == NotifyResult(waiting=1)
    assert waits(run) == 1 + 2
    move(run, 2)
    notifier.deaf = False
    assert told(run, notifier) == NotifyResult(delivered=2)
    assert [a.version for a in notifier.heard] == [1, 2]
    assert recorded(run) == [(1, n, "failed") for n in (1, 2, 3)] + [(1, 4, "delivered"), (2, 1, "delivered")]


def test_what_nobody_ever_takes_is_given_up_on_record(run: Run) -> None:
    deaf, other = FakeNotifier(), FakeNotifier("command")
    introduce(run, [deaf, other])
    move(run, 1)
    deaf.deaf = True
    for expected in (NotifyResult(delivered=1, waiting=1), NotifyResult(waiting=1), NotifyResult(given_up=1)):
        assert notify(run, [deaf, other], HERE, PATIENCE) == expected
    assert [a.version for a in other.heard] == [1], "one notifier's silence is not the other's"
    assert recorded(run)[-1] == (1, 7, "given up")
    assert not count_waiting(run, [deaf, other])


def test_a_kill_after_telling_tells_again_by_the_same_id(run: Run) -> None:
    notifier = FakeNotifier()
    introduce(run, [notifier])
    move(run, 1)
    notifier.dies = True
    with pytest.raises(KeyboardInterrupt):
        told(run, notifier)
    assert recorded(run) == []
    notifier.dies = False
    assert told(run, notifier) == NotifyResult(delivered=1)
    first, second = notifier.heard
    assert first.delivery == second.delivery
    assert recorded(run) == [(1, 1, "delivered")]


def test_a_stalled_process_does_not_take_back_what_another_recorded(run: Run) -> None:
    slow, quick = FakeNotifier(), FakeNotifier()
    introduce(run, [slow])
    move(run, 1)
    move(run, 2)

    def overtaken(announcement: Announcement) -> None:
        if announcement.version == 1:
            assert told(run, quick) == NotifyResult(delivered=2)

    slow.deliver = overtaken  # type: ignore[method-assign]
    told(run, slow)
    assert recorded(run) == [(1, 1, "delivered"), (2, 1, "delivered")]
    assert not count_waiting(run, [slow])


def test_who_lost_what_it_was_given_is_told_once_more_of_the_newest_move(run: Run) -> None:
    notifier, late = FakeNotifier(), FakeNotifier("late")
    introduce(run, [notifier])
    forget_newest(run, [notifier])
    assert not count_waiting(run, [notifier], again=True), "nothing has moved yet"
    for number in (1, 2):
        move(run, number)
    told(run, notifier)
    introduce(run, [notifier, late])
    assert (count_waiting(run, [notifier, late]), count_waiting(run, [notifier, late], again=True)) == (0, 2)
    forget_newest(run, [notifier, late])
    assert told(run, notifier) == told(run, late) == NotifyResult(delivered=1)
    assert [a.version for a in notifier.heard] == [1, 2, 2] and [a.version for a in late.heard] == [2]
    assert notifier.heard[1].delivery == notifier.heard[2].delivery
    notifier.deaf = True
    forget_newest(run, [notifier])
    assert told(run, notifier).waiting == 1, "what it does not take stays waiting"


def test_moves_that_still_wait_are_told_as_they_are(run: Run) -> None:
    notifier = FakeNotifier()
    introduce(run, [notifier])
    for number in (1, 2):
        move(run, number)
    forget_newest(run, [notifier])
    assert told(run, notifier) == NotifyResult(delivered=2)
