"""``kbsync audit log`` and ``kbsync audit verify``"""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyView:
    """A whole chain of ``events`` that ends in ``head``; ``anchors`` versions point into it."""

    events: int
    head: str
    anchors: int


@verb(
    "audit log",
    examples=["kbsync audit log --limit 50", "kbsync audit log --json | jq '.[].kind'"],
    exits=[74],
    prints="list of kbsync.domain.audit:AuditEvent",
    changes="",
)
def log(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many events.", min=1)] = 20,
    json: JsonOption = False,
) -> None:
    """Print the newest events of the audit trail, the oldest of them first."""
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say, table
    from kbsync.domain.canonical import canonical_json

    with application(context) as app, app.ledger.read() as tx:
        newest = tx.newest_event()
        events = tx.audit(after=max(0, newest.seq - limit)) if newest else []
    if json:
        return emit(events)
    if not events:
        return say("no event yet")
    rows = [(e.seq, e.at, e.actor, e.kind, _told(jsonlib.loads(canonical_json(e.body)))) for e in events]
    return table(("#", "at (UTC)", "actor", "kind", "what"), rows)


def _told(body: dict[str, object]) -> str:
    """The body's short values; lists and tables are counted, ``--json`` has them whole."""
    parts = []
    for key, value in body.items():
        if isinstance(value, dict | list):
            value = len(value)
        shown = str(value)
        parts.append(f"{key}={shown[:12] if len(shown) == 64 else shown}")
    return " ".join(parts)


@verb("audit verify", examples=["kbsync audit verify"], exits=[74], prints="kbsync.cli.audit:VerifyView", changes="")
def verify(context: typer.Context, json: JsonOption = False) -> None:
    """Recompute the hash chains of audit trail and statement history, and check what anchors them.

    A version's manifest holds the trail's head at the time when it was built, and a file in the state directory the
    head when a writer last finished. So whoever rewrites or cuts the trail in the database must also rewrite those.
    Each pull's event holds the head of the statement history.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import count, emit, say, short
    from kbsync.domain.errors import StoreError
    from kbsync.operations.chains import check_chains

    with application(context) as app:
        with app.ledger.read() as tx:
            chains = check_chains(tx, app.settings.state_dir)
        stored = [(v.number, v.version_hash) for v in chains.versions if v.version_hash]
        broken = [f"{where}: {what}" for where, what in chains.problems]
        for number, version_hash in () if broken else stored:
            manifest = app.store.manifest(version_hash)
            if not chains.holds(manifest.audit_head):
                head = short(manifest.audit_head)
                broken.append(f"audit trail: version {number} was built after event {head}, which is not in it.")
    if broken:
        raise StoreError(
            f"What was recorded is not whole. {' '.join(broken)}",
            next_step="Keep the ledger as it is, compare it with a backup, and find out who could write to it.",
        )
    view = VerifyView(events=chains.events, head=chains.head, anchors=len(stored))
    if json:
        return emit(view)
    return say(f"whole: {count(view.events, 'event')}, anchored by {count(view.anchors, 'version')}, head {view.head}")
