from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kbsync.system import log
from kbsync.system.printable import printable

HOSTILE = "\x1b[31mred\x1b[0m \x9b2J [red]x[/red] \u202eevil\u2066 line\nnext\r\x07 \u2028sep"


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_escapes_everything_that_steers_a_terminal() -> None:
    shown = printable(HOSTILE)
    assert not set(shown) & set("\x1b\x9b\n\r\x07\u202e\u2066\u2028")
    assert "\\x1b[31mred" in shown and "\\u202eevil" in shown and "[red]x[/red]" in shown


def test_leaves_the_scripts_of_the_world_alone() -> None:
    text = "Élisabeth Borne · Владимир · 李明 · کتاب\u200cها · नमस्ते · 👩\u200d🔬"
    assert printable(text) == text


def test_keeps_what_it_is_told_to_keep() -> None:
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"


@given(st.text(st.characters(exclude_categories=[])))
def test_the_result_is_printable_and_encodable(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert printable(shown) == shown


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
