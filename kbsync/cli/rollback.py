"""``kbsync rollback``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "rollback",
    examples=["kbsync rollback", "kbsync rollback --to 2", "kbsync rollback --to 0"],
    exits=[66, 74, 75],
    prints="kbsync.stages.release.promote:MoveResult",
    changes="the ledger, current",
)
def rollback(
    context: typer.Context,
    to: Annotated[
        int | None,
        typer.Option(metavar="N", help="A version that was current before, or 0 for the base.", min=0),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Move current back to the version before it, or to a named one.

    The version left behind is not promoted again by itself: `kbsync promote N` does that. Run twice without `--to`,
    this goes back twice; `--to N` may be repeated.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = app.stages.rollback(writer, to)
    if json:
        return emit(result)
    named = f"version {result.after}" if result.after else "the base"
    if result.already:
        return say(f"already at {named}")
    return say(f"current is {named} (before: version {result.before})")
