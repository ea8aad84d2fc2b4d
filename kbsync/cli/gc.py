"""``kbsync gc``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.operations.gc import GcView


@verb(
    "gc",
    examples=["kbsync gc --dry-run", "kbsync gc", "kbsync gc --dry-run --all"],
    exits=[74, 75],
    prints="kbsync.operations.gc:GcView",
    changes="the ledger, the store",
)
def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show what is kept, too, with the reasons.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove old versions' weights and what nothing needs any more, as [retention] in the configuration says.

    Kept are versions that are current, that a rollback may go to, that are new, and the target vectors and covariances
    that they need. The manifest of a removed version stays: it explains the version, and `kbsync rebuild N --repair`
    builds the weights again. The decision is in the audit trail before anything is removed.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.operations import gc as operation

    with application(context) as app:
        view = operation.gc(app, app.settings.retention.policy, dry_run=dry_run)
    return emit(view) if json else show(view, everything=everything)


def show(view: GcView, *, everything: bool) -> None:
    from kbsync.cli.output import count, say, table

    shown = [t for t in view.things if everything or not t.keep]
    rows = [(t.kind, t.name, "keep" if t.keep else "remove", t.bytes, "; ".join(t.reasons)) for t in shown]
    table(("kind", "name", "", "#bytes", "because"), rows)
    if not view.removed:
        return say("nothing to remove")
    done = "would be removed" if view.dry_run else "removed"
    return say(f"{count(view.removed, 'thing')} {done}, {view.bytes:,} bytes")
