from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial

import pytest
import structlog

from kbsync.domain.errors import Stopped
from kbsync.operations.stop import check_stop
from kbsync.ports import Work
from kbsync.system import log
from kbsync.system.stop_request import StopRequest
from kbsync.views.progress import LogProgress


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.set_up("json", "info", stream)
    yield stream
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[tuple[str, int]]:
    parsed = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [(line["step"], line["items"]) for line in parsed]


def test_a_finished_step_is_one_line(stream: io.StringIO) -> None:
    progress = LogProgress()
    progress.start("pull", 3)
    progress.advance(2)
    progress.advance()
    progress.finish()
    progress.start("nothing", 0)
    progress.finish()
    progress.start("covariance", None)
    progress.finish("100 tokens")
    assert lines(stream) == [("pull", 3), ("covariance", 0)]
    assert json.loads(stream.getvalue().splitlines()[1])["note"] == "100 tokens"


def test_a_step_inside_a_step_counts_for_it_and_has_no_line(stream: io.StringIO) -> None:
    progress = LogProgress()
    progress.start("evaluate base", 5)
    progress.start("answers", 4)
    progress.advance(4)
    progress.finish()
    progress.advance()
    progress.finish()
    assert lines(stream) == [("evaluate base", 5)]


def test_after_a_stop_the_next_step_is_an_outermost_one_again(stream: io.StringIO) -> None:
    stop, progress = StopRequest(), LogProgress()
    work = Work(progress, [partial(check_stop, stop)])
    work.start("outer", 5)
    work.start("inner", 5)
    stop.request("test")
    with pytest.raises(Stopped):
        work.advance()
    progress.start("next", 1)
    progress.finish()
    assert lines(stream) == [("next", 0)]


def test_finishing_what_never_began_is_no_error(stream: io.StringIO) -> None:
    LogProgress().finish()
    assert stream.getvalue() == ""
