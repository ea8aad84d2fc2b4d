from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from kbsync.system import log

HOSTILE = "\x1b[31mred\x1b[0m \x9b2J [red]x[/red] \u202eevil\u2066 line\nnext\r\x07 \u2028sep"


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_console_logs_can_not_be_forged_by_a_label() -> None:
    stream = io.StringIO()
    log.set_up("console", "info", stream)
    log.logger().info("step ended", label=HOSTILE)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "\x1b[31m" not in lines[0] and "\x9b" not in lines[0] and "\u202e" not in lines[0]


def test_json_logs_are_one_object_a_line() -> None:
    stream = io.StringIO()
    log.set_up("json", "info", stream)
    log.logger().info("step ended", label=HOSTILE, step="pull")
    log.logger().debug("too much detail")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) | {"timestamp": ""} == {
        "event": "step ended",
        "label": HOSTILE,
        "step": "pull",
        "level": "info",
        "timestamp": "",
    }


def test_a_traceback_keeps_its_lines_in_the_console_and_is_one_field_in_json() -> None:
    for format, lines in (("console", 2), ("json", 1)):
        stream = io.StringIO()
        log.set_up(format, "info", stream)
        try:
            raise ValueError("a \x1b[31mhostile\x1b[0m label")
        except ValueError:
            log.logger().exception("cycle failed")
        assert len(stream.getvalue().splitlines()) >= lines
        assert "ValueError: a " in stream.getvalue()
        assert "\x1b[31m" not in stream.getvalue()


def test_of_talkative_libraries_only_warnings_are_shown() -> None:
    stream = io.StringIO()
    log.set_up("console", "debug", stream)
    log.logger().debug("ours")
    logging.getLogger("sqlalchemy").info("theirs, in passing")
    logging.getLogger("sqlalchemy").warning("theirs, in earnest")
    assert "ours" in stream.getvalue() and "in earnest" in stream.getvalue()
    assert "in passing" not in stream.getvalue()
