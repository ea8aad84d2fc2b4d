"""Every display takes steps inside steps, and begins anew after it was abandoned."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
import structlog
from rich.console import Console

from kbsync.bootstrap.adapters import SystemClock
from kbsync.cli.progress import BarProgress
from kbsync.daemon.activity import Activity, WatchedProgress
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.operations.profile import Profile
from kbsync.ports import UNWATCHED, Progress
from kbsync.system import log
from kbsync.views.progress import LogProgress
from tests.evidence.speed.laps import Steps

DISPLAYS: dict[str, Callable[[], Progress]] = {
    "nothing": lambda: UNWATCHED.progress,
    "log": LogProgress,
    "bars": lambda: BarProgress(Console(file=io.StringIO(), force_terminal=True, width=80)),
    "daemon": lambda: WatchedProgress(Activity(SystemClock()), ProcessMetrics()),
    "profile": lambda: Profile().watching(LogProgress()),
    "laps": lambda: Steps(LogProgress()),
}


@pytest.fixture(params=DISPLAYS)
def progress(request: pytest.FixtureRequest) -> Iterator[Progress]:
    log.set_up("json", "info", io.StringIO())
    yield DISPLAYS[request.param]()
    structlog.reset_defaults()


def test_steps_may_be_started_inside_steps_and_their_total_be_unknown(progress: Progress) -> None:
    progress.start("outer", None)
    progress.start("inner", 2)
    progress.advance()
    progress.advance(0)
    progress.finish("as asked")
    progress.advance(3)
    progress.finish()


def test_what_was_abandoned_may_be_followed_by_another_step(progress: Progress) -> None:
    progress.start("outer", 5)
    progress.start("inner", 5)
    progress.abandon()
    progress.abandon()
    progress.start("next", 1)
    progress.advance()
    progress.finish()
