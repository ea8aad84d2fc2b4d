"""``kbsync promote``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "promote",
    examples=["kbsync promote 3", "kbsync promote 3 --override 'two neighbours lost, checked by hand'"],
    exits=[3, 66, 74, 75],
    prints="kbsync.stages.release.promote:MoveResult",
    changes="the ledger, current",
)
def promote(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The version to make current.", min=1)],
    override: Annotated[
        str, typer.Option(metavar="REASON", help="Promote although the gate refused; the audit trail keeps the reason.")
    ] = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Make a version current, if it passed the gate.

    Weights are not touched: an alias moves to what is stored. A refused version needs a person's reason.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = app.stages.promote(writer, number, override=override)
    if json:
        return emit(result)
    if result.already:
        return say(f"already current: version {result.after}")
    return say(f"current is version {result.after} (before: {result.before or 'the base'})")
