"""A ledger of a million facts, written row by row into the tables: by way of the stages it would take an hour."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from kbsync.config import Configuration, load_all
from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import canonical_json
from kbsync.domain.fact import FactKey, FactState
from kbsync.domain.history import link_hash
from kbsync.domain.naming import Names
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, Labels, Rank, Snak, Statement, Value, ValueKind
from kbsync.domain.verdict import Evidence, Reply, VerdictKind
from kbsync.ledger import schema
from kbsync.ledger.engine import opened, parse_url, writing
from kbsync.ledger.examine import adopt
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository import tallies
from tests.support.world_app import MAIN

BASE = "b" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = "2026-01-01T00:00:00.000000Z"
RELATIONS = 10
_VALUE = "Q987654321"
"""Stands in the documents where each fact has its own value."""

Rows = Iterator[tuple[object, ...]]


def configured(directory: Path) -> Configuration:
    """A configuration that watches ``RELATIONS`` relations."""
    files = {"kbsync.toml": MAIN, "recipes/table.toml": "layers = [1, 2]\n"}
    for number in range(1, RELATIONS + 1):
        phrases = f'["The relation {number} of {{}} is", "{{}}, whose relation {number} is"]'
        files[f"relations/relation-{number:02d}.toml"] = (
            f'property = "P{number}"\nlabel = "relation {number}"\nsubjects = ["Q1"]\n'
            f"[phrasings.edit]\nstatement = {phrases}\n"
        )
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_all(directory / "kbsync.toml")


def fill(url: str, relations: Sequence[Relation], facts: int, *, unjudged: int = 1000) -> None:
    """Write ``facts`` facts, a tenth of each relation's; each is judged, but for the last ones of each relation.

    A fact of every hundred is waiting; values are items with names. All rows are in the row journal, and every
    statement has its history, so that the ledger vouches for itself.
    """
    schema.upgrade(url)
    subjects = facts // len(relations)
    tables: tuple[tuple[str, str, Rows], ...] = (
        ("items", "id, revision, modified, redirect_to, deleted", _items(url, 2 * subjects)),
        ("labels", "item, label, aliases", _labels(2 * subjects)),
        ("statements", "id, subject, property, snak, value_kind, value_text, value_detail, rank, starts, ends, "
         "point_in_time, reference_count", _statements(relations, subjects)),
        ("facts", "subject, property, observed, believed, believed_at, observed_hash, believed_hash, names_hash",
         _facts(relations, subjects)),
        ("verdicts", "subject, property, value_hash, model_fingerprint, template_hash, kind, evidence, at, names_hash",
         _verdicts(relations, subjects - unjudged, subjects)),
        ("statement_history", "statement_id, subject, property, revision, seen_at, before, after, hash",
         _history(relations, subjects)),
    )  # fmt: skip
    for table, columns, rows in tables:
        _write(url, table, columns, rows)
    with opened(parse_url(url)) as engine, writing(engine) as connection:
        tallies.recount(connection)
        adopt(connection, ())
    with closing(SqlLedger(url)) as ledger, ledger.write() as tx:
        tx.append_audit("pull", "evidence", {"source": "evidence", "history": tx.history_head()}, NOW)
        tx.append_audit("probe", "evidence", {"model": BASE}, NOW)


def _write(url: str, table: str, columns: str, rows: Rows) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            marks = ", ".join("?" for _ in columns.split(","))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as connection:
            connection.execute("ANALYZE")
        return
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as server:
        with server.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        server.execute(f"VACUUM ANALYZE {table}")


def _items(url: str, count: int) -> Rows:
    deleted: object = 0 if url.startswith("sqlite") else False
    for number in range(1, count + 1):
        yield f"Q{number}", 1000 + number, STAMP, None, deleted


def _labels(count: int) -> Rows:
    for number in range(1, count + 1):
        yield f"Q{number}", f"Some longer name number {number}", "[]"


def _history(relations: Sequence[Relation], subjects: int) -> Rows:
    prev = GENESIS
    for relation in relations:
        for number in range(1, subjects + 1):
            row: dict[str, Any] = {
                "statement_id": f"Q{number}${relation.property}",
                "subject": f"Q{number}",
                "property": relation.property,
                "revision": 1000,
                "seen_at": STAMP,
                "before": None,
                "after": canonical_json(_statement(relation, number, subjects)),
            }
            prev = link_hash(prev, **row)
            yield *row.values(), prev


def _statement(relation: Relation, number: int, subjects: int) -> Statement:
    subject = ItemId(f"Q{number}")
    return Statement(
        id=f"{subject}${relation.property}",
        subject=subject,
        property=relation.property,
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, f"Q{subjects + number}"),
        rank=Rank.NORMAL,
        references=1,
    )


def _statements(relations: Sequence[Relation], subjects: int) -> Rows:
    for relation in relations:
        for number in range(1, subjects + 1):
            yield (
                f"Q{number}${relation.property}", f"Q{number}", relation.property, "value", "item",
                f"Q{subjects + number}", "", "normal", None, None, None, 1,
            )  # fmt: skip


def _state(value: str) -> FactState:
    return FactState(
        values=(Value(ValueKind.ITEM, value),),
        former=(),
        statement_ids=("Q1$0B3B6F6E-1111-2222-3333-444455556666",),
        references=1,
        revision=1000,
        since=NOW,
    )


def _facts(relations: Sequence[Relation], subjects: int) -> Rows:
    document = canonical_json(_state(_VALUE))
    hashes, names = _hashes(subjects), _names(relations[0], subjects)
    for relation in relations:
        for number, value_hash in enumerate(hashes, 1):
            state = document.replace(_VALUE, f"Q{subjects + number}")
            observed = "w" * 64 if number % 100 == 0 else value_hash
            yield f"Q{number}", relation.property, state, state, STAMP, observed, value_hash, names[number - 1]


def _verdicts(relations: Sequence[Relation], judged: int, subjects: int) -> Rows:
    hashes, names = _hashes(subjects), _names(relations[0], subjects)
    for relation in relations:
        for number, value_hash in enumerate(hashes[:judged], 1):
            kind = VerdictKind.CURRENT if number % 2 else VerdictKind.STALE
            reply = Reply(prompt="The relation of it is", greedy=" Some name and more text", kind=kind)
            evidence = canonical_json(Evidence(replies=(reply,), logprob_answer=-7.25, logprob_former=-3.5))
            yield (
                f"Q{number}", relation.property, value_hash, BASE, relation.template_hash, kind.value, evidence, STAMP,
                names[number - 1],
            )  # fmt: skip


def _hashes(subjects: int) -> list[str]:
    return [_state(f"Q{subjects + number}").value_hash for number in range(1, subjects + 1)]


def _names(relation: Relation, subjects: int) -> list[str]:
    """The hash of each fact's names, which are the same in all relations."""
    labels = {
        ItemId(item): Labels(item=ItemId(item), label=label, aliases=())
        for item, label, _ in ((str(i), str(n), a) for i, n, a in _labels(2 * subjects))
    }
    names = Names(labels, relation.language)
    keys = (FactKey(ItemId(f"Q{number}"), relation.property) for number in range(1, subjects + 1))
    return [names.fact(key, _state(f"Q{subjects + n}")).names_hash for n, key in enumerate(keys, 1)]
