from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from rich.console import Console

from kbsync.cli.command import Options
from kbsync.cli.output import count, emit, say, table, text
from kbsync.cli.progress import BarProgress, progress_for
from kbsync.domain.errors import Stopped
from kbsync.operations.stop import check_stop
from kbsync.ports import Work
from kbsync.system.stop_request import StopRequest
from kbsync.views.progress import LogProgress
from tests.support.cli import Cli

HOSTILE = "[red]x[/red] \x1b[31mred\x9b2J \u202eevil :smile:"
SHOWN = "[red]x[/red] \\x1b[31mred\\x9b2J \\u202eevil :smile:"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """A stdout that claims to be a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    return capsys


def test_markup_and_control_characters_stay_text(terminal: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    table(("fact", "#n"), [(HOSTILE, 1)], title="A title")
    out = terminal.readouterr().out
    assert out.count(SHOWN) == 2
    assert "\x9b" not in out and "\u202e" not in out


def test_json_is_ascii_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"label": HOSTILE, "at": datetime(2026, 1, 1, tzinfo=UTC)})
    out = capsys.readouterr().out
    assert out.isascii() and "\x1b" not in out
    assert json.loads(out) == {"label": HOSTILE, "at": "2026-01-01T00:00:00.000000Z"}


def test_an_empty_table_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table(("fact",), [])
    assert capsys.readouterr().out == ""


def test_values_in_words() -> None:
    values = (None, True, 0.98765, datetime(2026, 1, 1, tzinfo=UTC), "x")
    assert [text(value) for value in values] == ["-", "yes", "0.9877", "2026-01-01 00:00:00", "x"]
    assert [count(1, "fact"), count(2, "fact")] == ["1 fact", "2 facts"]


def test_bars_leave_one_line_for_each_finished_step() -> None:
    stream = io.StringIO()
    progress = BarProgress(Console(file=stream, force_terminal=True, markup=False, highlight=False, width=80))
    progress.start("probe [red]", 3)
    for _ in range(3):
        progress.advance()
    progress.finish("as asked")
    progress.start("nothing", 0)
    progress.finish()
    lines = [line for line in stream.getvalue().splitlines() if "items" in line]
    assert len(lines) == 1
    assert "probe [red]: 3 items" in lines[0] and "s, as asked" in lines[0]
    assert "nothing: " not in stream.getvalue()


def test_bars_notice_a_stop_and_give_the_terminal_back() -> None:
    stop, stream = StopRequest(), io.StringIO()
    progress = BarProgress(Console(file=stream, force_terminal=True, width=80))
    work = Work(progress, [partial(check_stop, stop)])
    work.start("probe", None)
    work.advance()
    stop.request("SIGTERM")
    with pytest.raises(Stopped):
        work.advance()
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


def test_no_bars_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_for(Options()), LogProgress)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(progress_for(Options()), BarProgress)
    assert isinstance(progress_for(Options(quiet=True)), LogProgress)


STEERING_LABEL = "[red]x[/red] \u202eevil"
"""What holds control characters is believed to be no name at all."""


@pytest.mark.slow
def test_labels_can_not_steer_the_terminal(cli: Cli) -> None:
    source = cli.world.source
    source.now, now = source.now - timedelta(days=30), source.now  # a name of today would still wait
    source.set_item("Q61053", label=STEERING_LABEL)
    source.now = now
    cli.good("sync")
    for command in (
        ["explain", "Q183", "P6"],
        ["plan", "--all"],
        ["explain", "Q183", "P6", "--json"],
    ):
        shown = cli.good(*command).out
        assert not set(shown) & set("\x1b\u202e"), command
        assert "[red]x[/red]" in shown, command
