"""States that the domain calls impossible are refused by the database itself, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DataError, IntegrityError

from kbsync.domain.version import VersionState
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import (
    HEAD_OF_STATE,
    HOUR,
    NOW,
    edit_plan,
    evaluation,
    fact,
    record,
    statement,
    verdict,
)

FOREIGN_KEY = "(?i)foreign key"
"""SQLite does not say which one."""

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("items", {"id": "Q7", "revision": -1}, "ck_items_revision"),
    ("items", {"id": "Q7", "deleted": 1, "redirect_to": "Q8"}, "ck_items_deleted"),
    ("items", {"id": "Q7", "revision": "newest"}, "(?i)revision|integer|bigint"),
    ("statements", {"id": "x", "snak": "perhaps"}, "ck_statements_(snak|value)"),
    ("statements", {"id": "x", "snak": "novalue"}, "ck_statements_value"),
    ("statements", {"id": "x", "value_text": None, "value_kind": None, "value_detail": None}, "ck_statements_value"),
    ("statements", {"id": "x", "value_kind": None}, "ck_statements_value_has_kind"),
    ("statements", {"id": "x", "value_detail": None}, "ck_statements_value_has_detail"),
    ("statements", {"id": "x", "value_kind": "poem"}, "ck_statements_value_kind"),
    ("statements", {"id": "x", "rank": "best"}, "ck_statements_rank"),
    ("statements", {"id": "x", "reference_count": -1}, "ck_statements_reference_count"),
    ("statements", {"id": "x", "subject": "Q999"}, FOREIGN_KEY),
    ("statement_history", {"seq": 99, "before": None, "after": None}, "ck_statement_history_change"),
    ("facts", {"property": "P9", "believed": None}, "ck_facts_believed"),
    ("facts", {"subject": "Q999"}, FOREIGN_KEY),
    ("beliefs", {"seq": 99, "subject": "Q999"}, FOREIGN_KEY),
    ("beliefs", {"seq": 99, "state": None}, "(?i)null"),
    ("verdicts", {"value_hash": "x", "kind": "sure"}, "ck_verdicts_kind"),
    ("verdicts", {"subject": "Q999"}, FOREIGN_KEY),
    ("verdicts", {"kind": "current"}, "(?i)unique"),
    ("quarantine", {"subject": "Q999"}, FOREIGN_KEY),
    ("plans", {"hash": "short"}, "ck_plans_hash"),
    ("versions", {"number": 0, "build_hash": "x", "version_hash": "x"}, "ck_versions_number"),
    ("versions", {"number": 2, "version_hash": "x"}, r"uq_versions_build_hash|versions\.build_hash"),
    ("versions", {"number": 2, "build_hash": "x"}, r"uq_versions_version_hash|versions\.version_hash"),
    ("versions", {"number": 2, "build_hash": "x", "version_hash": None}, "ck_versions_built"),
    ("versions", {"number": 2, "build_hash": "x", "version_hash": "x", "state": "building"}, "ck_versions_built"),
    ("versions", {"number": 2, "build_hash": "x", "version_hash": "x", "state": "gone"}, "ck_versions_state"),
    ("versions", {"number": 2, "build_hash": "x", "version_hash": "x", "predecessor": 2}, "ck_versions_predecessor"),
    ("versions", {"number": 2, "build_hash": "x", "version_hash": "x", "plan": "x"}, FOREIGN_KEY),
    ("evaluations", {"seq": 99, "version": 9}, FOREIGN_KEY),
    ("alias_moves", {"seq": 99, "version": 9}, FOREIGN_KEY),
    ("alias_moves", {"seq": 99, "token": 0}, "ck_alias_moves_token"),
    ("audit_events", {"seq": 2, "hash": "f" * 64}, r"ck_audit_events_genesis|uq_audit_events_prev|audit_events\.prev"),
    ("audit_events", {"seq": 2, "prev": "e" * 64}, r"uq_audit_events_hash|audit_events\.hash"),
    ("audit_events", {"seq": 2, "prev": "e" * 64, "hash": "short"}, "ck_audit_events_hash"),
    ("audit_events", {"seq": 0, "prev": "e" * 64, "hash": "f" * 64}, "ck_audit_events_seq"),
    ("leases", {"name": "x", "holder": None}, "ck_leases_held"),
    ("leases", {"name": "x", "token": 0}, "ck_leases_token"),
]


@pytest.fixture
def filled(ledger_url: str) -> str:
    """One row in every table."""
    ledger, key, plan = SqlLedger(ledger_url), fact().key, edit_plan("Ada")
    with ledger.write() as tx:
        tx.record_items([record(statement(1))], [HEAD_OF_STATE], NOW)
        tx.put_facts([fact(believed=True)])
        tx.record_verdicts([verdict(key)], NOW)
        tx.set_quarantine(key, "v", "drifts", NOW)
        tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
        tx.set_version_state(1, VersionState.CANDIDATE, version_hash="h")
        tx.record_evaluation(evaluation(1))
        tx.move_alias("current", 1, tx.acquire_lease("writer", "test", HOUR, NOW), NOW)
        tx.append_audit("pull", "test", {}, NOW)
    ledger.close()
    return ledger_url


@pytest.mark.parametrize(("table", "change", "refusal"), WRONG, ids=[f"{t}-{'-'.join(c)}" for t, c, _ in WRONG])
def test_impossible_states_are_refused(filled: str, table: str, change: dict[str, Any], refusal: str) -> None:
    engine = create_engine(filled)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    elif "deleted" in change:
        change = change | {"deleted": True}
    with engine.begin() as connection:
        row = dict(connection.execute(text(f"SELECT * FROM {table}")).mappings().one())
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        with pytest.raises((IntegrityError, DataError), match=refusal):
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row | change)
        connection.rollback()
    engine.dispose()
