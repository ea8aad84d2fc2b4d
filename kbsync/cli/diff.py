"""``kbsync diff``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.views.provenance import DiffView


@verb(
    "diff",
    examples=["kbsync diff 2 3", "kbsync diff 0 3 --json"],
    exits=[66, 74],
    prints="kbsync.views.provenance:DiffView",
    changes="",
)
def diff(
    context: typer.Context,
    before: Annotated[int, typer.Argument(metavar="A", help="A version, or 0 for the base.", min=0)],
    after: Annotated[int, typer.Argument(metavar="B", help="The version to compare it with.", min=0)],
    json: JsonOption = False,
) -> None:
    """Show which facts version B adds, changes and retracts against version A."""
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.views import provenance

    with application(context) as app, app.ledger.read() as tx:
        view = provenance.diff(tx, app.store, before, after)
    return emit(view) if json else show(view)


def show(view: DiffView) -> None:
    from kbsync.cli.output import count, say, table

    rows = [(e.change, f"{e.label} ({e.subject} {e.property})", e.previous, e.answer) for e in view.changes]
    table(("change", "fact", f"version {view.before}", f"version {view.after}"), rows)
    if view.same_base is False:
        say("the two are built on different bases")
    if view.same_recipe is False:
        say("the two are built by different recipes")
    say(f"{count(len(view.changes), 'fact')} differ{'s' if len(view.changes) == 1 else ''}, {view.kept} held by both")
