"""Somebody with all rights in the database sends random SQL; what changes a row that is used must be named."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kbsync.ledger import schema
from tests.evidence.hardening.parts import Measured
from tests.support.postgres_server import shared
from tests.support.sqlite_ledger import empty_ledger
from tests.support.tampering import Tampering, fill, tamper

STATEMENTS = 600
"""On each of the two databases."""


def measure(seed: int) -> Measured:
    """Send the statements to SQLite and to PostgreSQL, and count those that no check names."""
    with tempfile.TemporaryDirectory(prefix="kbsync-tampering-") as directory:
        root = Path(directory)
        urls = {"sqlite": empty_ledger(root / "ledger.sqlite3"), "postgresql": shared().database()}
        schema.upgrade(urls["postgresql"])
        told: dict[str, Tampering] = {}
        for name, url in urls.items():
            fill(url, root / name)
            told[name] = tamper(url, root / name, STATEMENTS, seed)
    figures = {
        "sql.statements": sum(t.statements for t in told.values()),
        "sql.unseen": sum(len(t.unseen) for t in told.values()),
    }
    details = {
        name: {"named": t.named, "harmless": t.harmless, "unseen": t.unseen[:20], "kinds": dict(t.kinds.most_common())}
        for name, t in told.items()
    }
    return Measured(figures=figures, details=details)
