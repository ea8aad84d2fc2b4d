"""Every clock tells an aware time in UTC, and seconds that never go back and pass while it sleeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kbsync.bootstrap.adapters import SystemClock
from kbsync.ports import Clock
from tests.support.stage_world import FixedClock


@pytest.fixture(params=["system", "fixed"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_the_time_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_time_passes_while_it_sleeps(clock: Clock) -> None:
    before, began = clock.now(), clock.monotonic()
    clock.sleep(0.02)
    assert clock.now() > before
    assert 0.02 <= clock.monotonic() - began + 1e-6 < 20
