"""What must hold after the cycle that follows a crash: the same as without the crash, except for the records of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

import kbsync.bootstrap
from kbsync.bootstrap import App
from kbsync.config import load_all
from kbsync.domain.audit import AuditEvent
from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.retention import RetentionPolicy
from kbsync.domain.version import CURRENT, Version
from kbsync.ledger import schema, tables
from kbsync.ledger.engine import make_engine, parse_url, reading
from kbsync.model.load import LoadedModel
from kbsync.operations.gc import gc
from kbsync.operations.verify import verify
from kbsync.stages.cycle import sync
from kbsync.stages.notify import NotifyResult
from kbsync.system.durable import unfinished

POLICY = RetentionPolicy(keep_last=10, keep_newer=timedelta(days=30), rollback_window=3, spare=timedelta(0))
"""Keeps everything that a version needs, and nothing else: what is left over is an orphan."""
ONCE = ("edit", "evaluate", "promote")
"""Kinds of audit events of which every version must have exactly one."""


def examine(config: Path, loaded: LoadedModel, out: Path) -> None:
    """Sync once more, check everything, and write the result to ``out``.

    ``wrong`` must be empty. ``state`` is compared with that of an installation that was never crashed.
    """

    class Preloaded(kbsync.bootstrap.App):
        pass

    Preloaded.loaded = loaded  # type: ignore[assignment]
    app = Preloaded(load_all(config), actor="judge")
    try:
        wrong = _wrong(app)
        with app.ledger.read() as tx:
            kinds = Counter(e.kind for e in tx.audit())
        out.write_text(json.dumps({"state": state(app), "wrong": wrong, "takeovers": kinds["takeover"]}))
    finally:
        app.close()


def _wrong(app: App) -> list[str]:
    wrong = []
    with app.writer() as writer:
        again = sync(writer, app.stages).outcome.value
    if again != "nothing to do":
        wrong.append(f"another sync still finds something to do: {again}")
    removed = gc(app, POLICY, dry_run=False)
    wrong += [f"after gc there is {path}" for path in unfinished(app.settings.state_dir)]
    left = gc(app, POLICY, dry_run=True)
    wrong += [f"a second gc would remove {thing.kind} {thing.name}" for thing in left.things if not thing.keep]
    with app.ledger.read() as tx:
        events, versions = tx.audit(), tx.versions()
    known = {v.version_hash for v in versions}
    wrong += [f"the stored version {h} has no row" for h in app.store.hashes() if h not in known]
    needed = {name for v in versions if v.version_hash for name in app.store.manifest(v.version_hash).artifacts}
    wrong += [f"no version needs artifact {name}" for name in app.artifacts.names() if name not in needed]
    for kind in ONCE:
        per_version = Counter(e.body["version"] for e in events if e.kind == kind)
        wrong += [f"version {n} has {count} events {kind!r}" for n, count in per_version.items() if count != 1]
    wrong += _unannounced(app, events) + _unjudged(app, versions)
    wrong += [f"{p.where}: {p.what}" for p in verify(app).problems]
    wrong += schema.check(app.settings.database_url.get_secret_value())
    assert removed is not None
    return wrong


def _unjudged(app: App, versions: Sequence[Version]) -> list[str]:
    """Versions whose stored figures differ from the ledger's."""
    wrong = []
    with app.ledger.read() as tx:
        for version in versions:
            known = tx.evaluation_summary(version.number)
            if version.version_hash and app.store.evaluation(version.version_hash) != known:
                wrong.append(f"version {version.number} has other figures in its file than in the ledger")
    return wrong


def _unannounced(app: App, events: list[AuditEvent]) -> list[str]:
    """Moves of ``current`` that were not announced as they must be.

    Each must be announced at least once, always with the same id, and be recorded as announced exactly once.
    """
    with app.ledger.read() as tx:
        moves = {m.seq for m in tx.alias_moves(CURRENT)}
    recorded = [e.body for e in events if e.kind == "notify"]
    wrong = [f"the notifier was refused: {b}" for b in recorded if b["outcome"] != "delivered"]
    if sorted(b["move"] for b in recorded) != sorted(moves):
        wrong.append(f"moves {sorted(moves)} are recorded as announced: {[b['move'] for b in recorded]}")
    received = (app.settings.state_dir.parent / "told.txt").read_text().split() if moves else []
    if set(received) != {b["delivery"] for b in recorded}:
        wrong.append(f"the notifier received {received}, recorded are {[b['delivery'] for b in recorded]}")
    if app.notify() != NotifyResult():
        wrong.append("something is still to be announced")
    return wrong


def state(app: App) -> dict[str, Any]:
    """Everything that a crash must not change, without dates and without weights: their bits depend on batches."""
    engine = make_engine(parse_url(app.settings.database_url.get_secret_value()))
    with reading(engine) as connection:
        history = tables.statement_history.c
        changes = connection.execute(select(history.statement_id, history.revision, history.before, history.after))
        facts = connection.execute(
            select(tables.facts.c.subject, tables.facts.c.property, tables.facts.c.believed_hash)
        ).all()
        live = sorted(canonical_json(list(row)) for row in connection.execute(select(tables.statements)))
        seen = sorted(content_hash(list(row)) for row in changes)
    engine.dispose()
    with app.ledger.read() as tx:
        versions, moves = tx.versions(), [m.number for m in tx.alias_moves(CURRENT)]
    held = {}
    for version in versions:
        manifest = app.store.manifest(version.version_hash or "")
        held[version.number] = sorted(f"{r.key} {r.value_hash} {r.target}" for r in manifest.requests)
    return {
        "versions": [[v.number, v.state.value, v.predecessor] for v in versions],
        "held": {str(n): requests for n, requests in held.items()},
        "current": moves,
        "statements": content_hash(live),
        "history": content_hash(seen),
        "changes": len(seen),
        "believed": content_hash(sorted(canonical_json(list(row)) for row in facts)),
    }
