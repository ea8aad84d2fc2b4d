"""Every random change of a row of the audit trail or of the statement history is detected, and the place is named.

Each is made behind the triggers' back in a transaction that is rolled back. With the changes of stored bytes
(``tests/unit/operations/test_verify.py``: manifests, factors, target vectors) they are 500 and more.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from kbsync.checkpoints.anchor import Anchor, write_anchor
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.ledger import SqlLedger, SqlLedgerReader
from kbsync.operations.chains import check_chains
from kbsync.testing.samples import HEAD_OF_STATE, HOUR, NOW, record, statement

CHANGES = 80
"""Of each of two tables on each of two databases: 320."""
EVENTS, ITEMS = 12, 10
COLUMNS = {
    "audit_events": ("at", "kind", "actor", "body", "prev", "hash"),
    "statement_history": (
        "statement_id",
        "subject",
        "property",
        "revision",
        "seen_at",
        "before",
        "after",
        "hash",
    ),
}


@pytest.fixture
def filled(ledger_url: str, tmp_path: Path) -> str:
    """A trail and a history of some rows each, anchored at their ends."""
    ledger = SqlLedger(ledger_url)
    with ledger.write() as tx:
        for number in range(ITEMS):
            subject = f"Q{number}"
            tx.record_items(
                [record(statement(1, subject=subject), statement(2, "Q2", subject=subject), subject=subject)],
                [HEAD_OF_STATE],
                NOW,
            )
            changed = record(statement(1, "Q3", subject=subject), subject=subject, revision=2)
            tx.record_items([changed], [HEAD_OF_STATE], NOW + HOUR)
        for number in range(EVENTS - 1):
            tx.append_audit("probe", "test", {"number": number, "said": "Zürich"}, NOW + number * HOUR)
        last = tx.append_audit("pull", "test", {"history": tx.history_head()}, NOW + EVENTS * HOUR)
    ledger.close()
    write_anchor(tmp_path, Anchor(seq=last.seq, hash=last.hash))
    return ledger_url


def off(connection: Connection, table: str) -> None:
    """Take the triggers away, for this transaction."""
    for event in ("update", "delete"):
        on = "" if connection.dialect.name == "sqlite" else f" ON {table}"
        connection.execute(text(f"DROP TRIGGER {table}_no_{event}{on}"))


def spoiled(value: Any, draw: random.Random) -> Any:
    """Another value, as near as it gets."""
    if value is None:
        return "{}"
    if isinstance(value, int):
        return value + draw.choice([-1, 1, 1000]) if value else 1
    if not isinstance(value, str):
        return value + draw.choice([-1, 1]) * HOUR / 3600
    at = draw.randrange(len(value))
    other = chr(ord(value[at]) ^ 1 << draw.randrange(3))
    return draw.choice([value[:at] + other + value[at + 1 :], value[:at] + value[at + 1 :], value + " "])


def change(connection: Connection, table: str, draw: random.Random) -> tuple[str, set[int]]:
    """Spoil something; returns what was done, and the rows of which one must be named."""
    off(connection, table)
    rows = [dict(r._mapping) for r in connection.execute(text(f"SELECT * FROM {table} ORDER BY seq"))]
    row, last = draw.choice(rows), rows[-1]["seq"]
    seq, near = row["seq"], {row["seq"], row["seq"] + 1}
    kind = draw.choice(["update"] * 5 + ["delete", "cut off", "insert", "move", "swap"])
    where = {"seq": seq}
    match kind:
        case "update":
            column = draw.choice(COLUMNS[table])
            value = spoiled(row[column], draw)
            connection.execute(text(f"UPDATE {table} SET {column} = :value WHERE seq = :seq"), {"value": value} | where)
            return f"{kind} {column}", near
        case "delete":
            connection.execute(text(f"DELETE FROM {table} WHERE seq = :seq"), where)
            return kind, near if seq < last else {seq, seq - 1}
        case "cut off":
            first = max(seq, 2)
            connection.execute(text(f"DELETE FROM {table} WHERE seq >= :seq"), {"seq": first})
            return kind, {first, first - 1}
        case "insert":
            added = row | {"seq": last + 1, "hash": f"{draw.getrandbits(256):064x}"}
            added |= {"prev": f"{draw.getrandbits(256):064x}"} if "prev" in row else {}
            names = ", ".join(added)
            values = ", ".join(f":{name}" for name in added)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), added)
            return kind, {last + 1}
        case "move":
            connection.execute(text(f"UPDATE {table} SET seq = :to WHERE seq = :seq"), {"to": last + 7} | where)
            return kind, near | {last + 7}
    other = draw.choice([r["seq"] for r in rows if r["seq"] != seq])
    for a, b in ((seq, 10**6), (other, seq), (10**6, other)):
        connection.execute(text(f"UPDATE {table} SET seq = :b WHERE seq = :a"), {"a": a, "b": b})
    return kind, {min(seq, other)}


@pytest.mark.slow
@pytest.mark.parametrize("table", COLUMNS)
def test_every_random_change_of_a_row_is_detected_and_named(filled: str, table: str, tmp_path: Path) -> None:
    draw, done = random.Random(f"20261123 {table}"), Counter[str]()
    engine = make_engine(parse_url(filled), foreign_keys=False)
    place = "audit trail" if table == "audit_events" else "statement history"
    with writing(engine) as connection:
        assert check_chains(SqlLedgerReader(connection), tmp_path).problems == ()
    while done.total() < CHANGES:
        with writing(engine) as connection:
            undo = connection.begin_nested()
            try:
                what, rows = change(connection, table, draw)
            except DBAPIError:
                undo.rollback()
                continue  # the database's own constraints refused it
            problems = check_chains(SqlLedgerReader(connection), tmp_path).problems
            undo.rollback()
        # That the triggers are away, and what else does not fit any more, is said of the ledger.
        assert {where for where, _ in problems} <= {place, "ledger"}, (what, rows, problems)
        found = [problem for problem in problems if problem.where == place]
        assert found, (what, rows, problems)
        assert rows & {int(n) for n in re.findall(r"\d+", found[0][1])}, (what, rows, found)
        done[what] += 1
    with writing(engine) as connection:
        assert check_chains(SqlLedgerReader(connection), tmp_path).problems == ()
    engine.dispose()
    assert set(done) >= {"delete", "cut off", "insert", "move", "swap"}
    assert sum(kind.startswith("update") for kind in done) >= 5


def test_the_end_of_the_trail_that_is_cut_off_is_missed(filled: str, tmp_path: Path) -> None:
    engine = make_engine(parse_url(filled))
    with writing(engine) as connection:
        off(connection, "audit_events")
        connection.execute(text(f"DELETE FROM audit_events WHERE seq > {EVENTS - 2}"))
        problems = check_chains(SqlLedgerReader(connection), tmp_path).problems
        ((where, what),) = [problem for problem in problems if problem.where != "ledger"]
        connection.rollback()
    engine.dispose()
    assert where == "audit trail"
    assert what == f"events {EVENTS - 1} to {EVENTS} are gone: {tmp_path / 'audit-anchor.json'} names them."
