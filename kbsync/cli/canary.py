"""``kbsync canary``"""

from __future__ import annotations

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "canary",
    examples=["kbsync canary", "kbsync canary --json"],
    exits=[3, 65, 74, 75],
    prints="kbsync.stages.release.canary:CanaryResult",
    changes="the ledger, current",
)
def canary(context: typer.Context, dry_run: DryRunOption = False, json: JsonOption = False) -> None:
    """Ask the current version again some of what it answered rightly; roll back when too much of it is lost.

    Ends with code 3 when it rolled back. The daemon does it on a schedule when a job of stage canary is set up under
    [schedule.jobs]; [gate] says how many facts are asked and how many may be lost.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import GateRefused

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = app.stages.canary(writer)
    if json:
        emit(result)
    elif not result.version:
        say("the base is in use: nothing to ask")
    else:
        say(f"version {result.version}: {len(result.lost)} of {result.asked} canaries lost")
        for prompt in result.lost:
            say(f"  {prompt}")
    if result.rolled_back_to is not None:
        if not json:
            say(f"rolled back to {result.rolled_back_to or 'the base'}: {result.reason}")
        raise typer.Exit(GateRefused.exit_code)
