"""Results on stdout: tables for people, one JSON document for programs. Markup in labels stays text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kbsync.domain.canonical import plain
from kbsync.system.printable import printable
from kbsync.views.wording import cell_text

PIPE_WIDTH = 160
"""Columns where stdout is no terminal and has no width of its own."""


def console(stream: TextIO | None = None) -> Console:
    """A console without markup, highlighting or emoji codes: what it is given is text, whoever wrote it."""
    stream = stream or sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def emit(value: Any) -> None:
    """One JSON document. ASCII only, so that no label can steer the terminal; every parser reads it the same."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=True))


def say(line: str, style: str = "") -> None:
    """One line of text, not wrapped."""
    console().print(Text(printable(line), style=style), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table, or nothing when there are no rows. Columns that begin with ``#`` hold numbers."""
    grid = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", show_edge=False)
    for column in columns:
        grid.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    for row in rows:
        grid.add_row(*(Text(printable(text(cell))) for cell in row))
    if grid.row_count:
        console().print(grid)


def text(value: object) -> str:
    """How a value looks in a table."""
    return cell_text(value, empty="-")


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 fact``, ``2 facts``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def short(digest: str | None) -> str:
    """The first twelve digits of a content hash."""
    return (digest or "-")[:12]
