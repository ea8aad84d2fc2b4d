"""``kbsync audit log``, ``kbsync audit verify`` and ``kbsync audit accept``"""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyView:
    """A whole chain of ``events`` that ends in ``head``; ``anchors`` versions point into it, and ``kept`` events are
    those that copies kept elsewhere name."""

    events: int
    head: str
    anchors: int
    kept: int


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
    from kbsync.domain.audit import ROWS

    parts = []
    for key, value in body.items():
        if key == ROWS:
            continue
        if isinstance(value, dict | list):
            value = len(value)
        shown = str(value)
        parts.append(f"{key}={shown[:12] if len(shown) == 64 else shown}")
    return " ".join(parts)


@verb(
    "audit verify",
    examples=["kbsync audit verify", "kbsync audit verify --against /mnt/elsewhere/trail-heads.jsonl"],
    exits=[65, 66, 74],
    prints="kbsync.cli.audit:VerifyView",
    changes="",
)
def verify(
    context: typer.Context,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A copy that was kept elsewhere: of `kbsync audit log --json`, of "
            "audit-anchor.json, or of release.heads_file. May be repeated.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Recompute the hash chains of audit trail and statement history, compare every row that decides something with
    what kbsync wrote, and check what anchors the trail.

    A version's manifest holds the trail's head at the time when it was built, and a file in the state directory the
    head when a writer last finished. So a trail that somebody rewrote or cut in the database is found, unless they
    rewrote those, too. `--against` finds even that, by a copy that was kept elsewhere.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import count, emit, say, short
    from kbsync.domain.errors import StoreError
    from kbsync.operations.chains import NEXT, check_chains
    from kbsync.operations.kept_heads import read_kept

    with application(context) as app:
        kept = [head for file in against or () for head in read_kept(file, app.settings.release.signing)]
        with app.ledger.read() as tx:
            chains = check_chains(tx, app.settings.state_dir, kept)
        stored = [(v.number, v.version_hash) for v in chains.versions if v.version_hash]
        broken = [f"{where}: {what}" for where, what in chains.problems]
        for number, version_hash in () if broken else stored:
            manifest = app.store.manifest(version_hash)
            if not chains.holds(manifest.audit_head):
                head = short(manifest.audit_head)
                broken.append(f"audit trail: version {number} was built after event {head}, which is not in it.")
    if broken:
        raise StoreError(f"What was recorded is not whole. {' '.join(broken)}", next_step=NEXT)
    view = VerifyView(events=chains.events, head=chains.head, anchors=len(stored), kept=len(kept))
    if json:
        return emit(view)
    anchored = f"anchored by {count(view.anchors, 'version')}"
    compared = f", as {count(view.kept, 'event')} kept elsewhere say" if kept else ""
    return say(f"whole: {count(view.events, 'event')}, {anchored}{compared}, head {view.head}")


@verb(
    "audit accept",
    examples=["kbsync audit accept --reason 'restored from the backup of Monday'"],
    exits=[4, 74, 75],
    prints="kbsync.operations.accept:Accepted",
    changes="the ledger, a file",
)
def accept(
    context: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What you know; the audit trail keeps it.")],
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Accept what `kbsync audit verify` finds of rows and of the anchor, because you know why, as after a restore.

    The trail is anchored as it is, and rows that something other than kbsync altered count as right from now on. What
    was accepted, and the reason, is in the audit trail. A broken chain can't be accepted: restore a backup.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.operations import accept as operation
    from kbsync.stages.session import writer

    # Without what other writers do around their work: it relies on what is accepted only now.
    with application(context, dry_run=dry_run) as app, writer(app.run, app.settings.lease.ttl) as held:
        accepted = operation.accept(held.run, None if dry_run else app.settings.state_dir, reason)
    if json:
        return emit(accepted)
    for what in accepted.found:
        say(what)
    if not accepted.found:
        return say("nothing to accept: all is as kbsync wrote it")
    return say(f"{'would be accepted' if dry_run else 'accepted'}; the trail ends at event {accepted.seq}")
