"""``python -m tests.evidence ledger``: the costs of a ledger of a given size: filling it, finding what is due, showing
it, and its bytes on disk.

The world is made up (``ledger_world``). If the same ledger is named again, an interrupted filling goes
on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import make_url, text

from kbsync.domain.statement import ItemId
from kbsync.ledger import schema
from kbsync.ledger.engine import make_engine, parse_url, reading
from kbsync.ledger.ledger import SqlLedger
from kbsync.operations.evidence import Figure, at_most, evidence
from kbsync.ports import LedgerReader, Work
from kbsync.stages.facts import unjudged_facts
from kbsync.views import status as views
from kbsync.views.explain import explain
from tests.evidence.load.ledger_world import BASE, NOW, LedgerSize, change, events, fill, judge, relations, versions

REPEATS = 5
"""How often each question is timed; the median counts."""
MOST_SECONDS = 1.0


def measure_ledgers(urls: Sequence[str], size: LedgerSize, work: Work) -> dict[str, Any]:
    """Fill and ask each ledger; returns the evidence document. Raises ``StoreError``, and ``Stopped`` between pages."""
    started, begun = datetime.now(UTC), time.monotonic()
    figures: list[Figure] = []
    for url in urls:
        figures += _measured(url, size, work)
    return evidence(
        "python -m tests.evidence ledger",
        figures,
        seed=0,
        started=started,
        seconds=time.monotonic() - begun,
        extent=asdict(size) | {"total": size.total},
        load_average=os.getloadavg(),
    )


def _measured(url: str, size: LedgerSize, work: Work) -> list[Figure]:
    backend = make_url(url).get_backend_name()
    schema.upgrade(url)
    ledger = SqlLedger(url)
    watched = relations(size)
    try:
        written, seconds = fill(ledger, size, work)
        changed, again = change(ledger, size, work)
        judge(ledger, size, watched, work)
        versions(ledger, size, watched)
        events(ledger, size)
        _settle(url)
        item = ItemId(f"Q{size.items // 2}")
        questions: dict[str, Callable[[LedgerReader], object]] = {
            "status": lambda tx: views.status(tx, watched, NOW),
            "explain": lambda tx: explain(tx, item, watched[0], NOW),
            "versions": views.versions,
            "find what is due": lambda tx: unjudged_facts(tx, watched, BASE),
        }
        took = {name: _ask(ledger, question, work, name) for name, question in questions.items()}
        with ledger.read() as tx:
            due = len(unjudged_facts(tx, watched, BASE).unjudged)
    finally:
        ledger.close()
    stored, history = _stored(url)
    figures = [Figure(f"{backend}: statements", size.total, "statements")]
    if written:
        figures.append(Figure(f"{backend}: upserts of new statements", written / seconds, "statements/s"))
    if changed:
        figures.append(Figure(f"{backend}: upserts of changed statements", changed / again, "statements/s"))
    return [
        *figures,
        Figure(f"{backend}: rows of history", history, "rows"),
        Figure(f"{backend}: facts due", due, "facts"),
        Figure(f"{backend}: find what is due", took["find what is due"], "s"),
        at_most(f"{backend}: status", took["status"], "s", MOST_SECONDS),
        at_most(f"{backend}: explain", took["explain"], "s", MOST_SECONDS),
        Figure(f"{backend}: versions", took["versions"], "s"),
        Figure(f"{backend}: size", stored / size.total, "bytes a statement"),
    ]


def _ask(ledger: SqlLedger, question: Callable[[LedgerReader], object], work: Work, name: str) -> float:
    """The median seconds of a question, each time in a new read transaction."""
    work.start(name, REPEATS)
    took = []
    for _ in range(REPEATS):
        begun = time.monotonic()
        with ledger.read() as tx:
            question(tx)
        took.append(time.monotonic() - begun)
        work.advance()
    work.finish()
    return median(took)


def _settle(url: str) -> None:
    """Collect statistics for the query planner, which a ledger in long use has."""
    engine = make_engine(parse_url(url))
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    engine.dispose()


def _stored(url: str) -> tuple[int, int]:
    """Bytes on disk, and rows of the statement history."""
    parsed = parse_url(url)
    engine = make_engine(parsed)
    with reading(engine) as connection:
        history = connection.scalar(text("SELECT count(*) FROM statement_history")) or 0
        if parsed.get_backend_name() == "sqlite":
            stored = Path(str(parsed.database)).stat().st_size
        else:
            stored = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
    engine.dispose()
    return int(stored), int(history)
