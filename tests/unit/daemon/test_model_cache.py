"""The application between two jobs: kept for its time, given to the next job with the same configuration, and freed."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kbsync.bootstrap import App
from kbsync.daemon.model_cache import ModelCache, free_models
from kbsync.ports import Work
from tests.support.daemon_service import Service
from tests.support.stage_world import FixedClock

HOUR = timedelta(hours=1)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[App]]:
    """The applications that were closed."""
    apps: list[App] = []
    real = App.close

    def close(self: App) -> None:
        apps.append(self)
        real(self)

    monkeypatch.setattr(App, "close", close)
    yield apps


def test_a_kept_application_is_taken_once_with_the_work_of_the_next_job(service: Service, closed: list[App]) -> None:
    cache, first, second = ModelCache(), Work(), Work()
    app = cache.take(service.configuration, first)
    assert app.work is first and app.actor == "daemon"
    cache.keep(app, HOUR)
    again = cache.take(service.configuration, second)
    assert again is app and app.work is second
    assert cache.take(service.configuration, first) is not app, "it is taken"
    assert closed == []


def test_another_configuration_gets_another_application(service: Service, closed: list[App]) -> None:
    cache = ModelCache()
    app = cache.take(service.configuration, Work())
    cache.keep(app, HOUR)
    other = dataclasses.replace(service.configuration)
    assert cache.take(other, Work()).configuration is other
    assert closed == [app]


def test_no_time_means_that_nothing_is_kept(service: Service, closed: list[App]) -> None:
    cache = ModelCache()
    app = cache.take(service.configuration, Work())
    cache.keep(app, timedelta(0))
    assert closed == [app]
    assert cache.take(service.configuration, Work()) is not app


@pytest.mark.slow
def test_the_application_is_closed_when_its_time_is_over(service: Service, closed: list[App]) -> None:
    clock = FixedClock(datetime(2026, 11, 3, tzinfo=UTC))
    cache = ModelCache(clock)
    assert cache.close_expired() is False, "there is none"
    app = cache.take(service.configuration, Work())
    cache.keep(app, HOUR)
    clock.sleep(HOUR.total_seconds() - 1)
    assert cache.close_expired() is False
    clock.sleep(1)
    assert cache.close_expired() is True and closed == [app]
    assert cache.close_expired() is False


def test_the_end_closes_whatever_is_kept(service: Service, closed: list[App]) -> None:
    cache = ModelCache()
    app = cache.take(service.configuration, Work())
    cache.keep(app, HOUR)
    cache.close()
    cache.close()
    assert closed == [app]


@pytest.mark.slow
def test_what_refers_to_itself_is_freed() -> None:
    class Module:
        def __init__(self) -> None:
            self.hook: Any = lambda: self

    module = Module()
    seen = weakref.ref(module)
    gc.disable()
    try:
        del module
        assert seen() is not None, "only the collector can free it"
        free_models()
        assert seen() is None
    finally:
        gc.enable()
