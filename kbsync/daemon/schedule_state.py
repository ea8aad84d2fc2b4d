"""The register of the schedule: what every job did last, and every time at which it should have run and did not.

One small file beside the ledger, ``schedule.json``: written whole, so that a kill leaves the old or the new one. A
daemon that starts finds in it when its jobs were due last, and so knows what was missed while none was there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kbsync.system.durable import locked, make_directory, write_file

FILE = "schedule.json"
KEPT = 1000
"""Gaps that are kept; older ones are in the log."""
AWAY = "no daemon was running, or the machine was asleep"
OVERRUN = "the run before it had not ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """When a job was ``due`` last, and what came of its newest run: how it ended, and when."""

    due: datetime
    outcome: str | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """``times`` runs of ``job``, due from ``first`` to ``last``, did not take place."""

    job: str
    times: int
    first: datetime
    last: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All that the register holds. ``missed`` counts by job for good; ``gaps`` are the newest."""

    jobs: dict[str, JobRecord] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


class Register:
    """Of one state directory; every change is a whole new file, under a lock between processes."""

    def __init__(self, state: Path) -> None:
        self._file = state / FILE

    def read(self) -> Book:
        """An empty book where there is none; a damaged one is set aside, since the ledger does not depend on it."""
        try:
            return _book(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Book()
        except (ValueError, KeyError, TypeError):
            self._file.replace(self._file.with_suffix(".damaged"))
            return Book()

    def due(self, job: str, at: datetime, gaps: Iterable[Gap] = ()) -> None:
        """The job was due at ``at``; before it, ``gaps`` were missed."""
        noted = tuple(gaps)

        def change(book: Book) -> Book:
            known = book.jobs.get(job)
            record = replace(known, due=at) if known else JobRecord(due=at)
            missed = book.missed | {job: book.missed.get(job, 0) + sum(g.times for g in noted)}
            return Book(jobs=book.jobs | {job: record}, missed=missed, gaps=(*book.gaps, *noted)[-KEPT:])

        self._change(change)

    def ended(self, job: str, outcome: str, at: datetime) -> None:
        """The run of ``job`` ended."""

        def change(book: Book) -> Book:
            known = book.jobs.get(job) or JobRecord(due=at)
            return replace(book, jobs=book.jobs | {job: replace(known, outcome=outcome, ended=at)})

        self._change(change)

    def _change(self, change: Callable[[Book], Book]) -> None:
        make_directory(self._file.parent)
        with locked(self._file.with_suffix(".lock")):
            document = json.dumps(asdict(change(self.read())), default=datetime.isoformat, indent=1)
            write_file(self._file, document.encode())


def _book(data: dict[str, Any]) -> Book:
    return Book(
        jobs={
            name: JobRecord(due=_time(r["due"]), outcome=r["outcome"], ended=_time(r["ended"]) if r["ended"] else None)
            for name, r in data["jobs"].items()
        },
        missed={str(name): int(count) for name, count in data["missed"].items()},
        gaps=tuple(Gap(**gap | {"first": _time(gap["first"]), "last": _time(gap["last"])}) for gap in data["gaps"]),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
