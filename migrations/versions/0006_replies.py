"""Verdicts rest on the replies in several phrasings, and facts may be shaky.

The one answer of an older verdict becomes its only reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

BATCH = 200
KEY = ("subject", "property", "value_hash", "model_fingerprint", "template_hash")
VERDICTS = sa.table("verdicts", *(sa.column(c) for c in (*KEY, "kind", "evidence")))
OF_REPLY = ("prompt", "greedy", "matched")
KINDS = ("current", "stale", "unknown", "ambiguous")


def upgrade() -> None:
    _allow("current", "shaky", *KINDS[1:])
    _rewrite(_with_replies)


def downgrade() -> None:
    """Shaky facts are asked anew; the other replies stay in the evidence, where an older kbsync doesn't look."""
    op.get_bind().execute(sa.delete(VERDICTS).where(VERDICTS.c.kind == "shaky"))
    _rewrite(_with_first_reply)
    _allow(*KINDS)


def _allow(*kinds: str) -> None:
    members = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("verdicts", table_kwargs={"sqlite_strict": True}) as table:
        table.drop_constraint(op.f("ck_verdicts_kind"), type_="check")
        table.create_check_constraint(op.f("ck_verdicts_kind"), f"kind IN ({members})")


def _with_replies(kind: str, evidence: dict[str, Any]) -> dict[str, Any]:
    first = {name: evidence.pop(name) for name in OF_REPLY}
    if "replies" not in evidence:
        asked = kind != "ambiguous"
        evidence["replies"] = [first | {"kind": kind, "reason": ""}] if asked else []
    return evidence


def _with_first_reply(_kind: str, evidence: dict[str, Any]) -> dict[str, Any]:
    first = evidence["replies"][0] if evidence["replies"] else {"prompt": "", "greedy": "", "matched": None}
    return evidence | {name: first[name] for name in OF_REPLY}


def _rewrite(change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    for rows in _batches():
        for row in rows:
            same = sa.and_(*(VERDICTS.c[name] == row[name] for name in KEY))
            body = change(row["kind"], json.loads(row["evidence"]))
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            op.get_bind().execute(sa.update(VERDICTS).where(same).values(evidence=text))


def _batches() -> Iterator[list[dict[str, Any]]]:
    """By key, since a cursor would not survive the changes."""
    key, last = [VERDICTS.c[name] for name in KEY], None
    while True:
        page = sa.select(VERDICTS).order_by(*key).limit(BATCH)
        found = page if last is None else page.where(sa.tuple_(*key) > sa.tuple_(*last))
        rows = [dict(row._mapping) for row in op.get_bind().execute(found)]
        if not rows:
            return
        yield rows
        last = [rows[-1][name] for name in KEY]
