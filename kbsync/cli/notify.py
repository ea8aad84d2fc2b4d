"""``kbsync notify``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "notify",
    examples=["kbsync notify", "kbsync notify --again"],
    exits=[74, 75],
    prints="kbsync.stages.notify:NotifyResult",
    changes="the ledger, and whoever is told",
)
def notify(
    context: typer.Context,
    again: Annotated[bool, typer.Option("--again", help="Tell all once more of the version that is current.")] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Send the command and the webhook under [release] the moves of current that they have not received yet.

    Every command that writes does so at its end; this one sends what could not be delivered then. Ends with code
    75 when something is still waiting. A newly configured notifier is told of later moves only, and a restarted
    server has lost its version: use --again for both.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import NotifierFailed
    from kbsync.operations.notify_again import notify_again

    with application(context, dry_run=dry_run) as app:
        result = notify_again(app) if again else app.notify()
    if json:
        emit(result)
    else:
        say(f"told of {result.delivered} moves, {result.given_up} given up, {result.waiting} still waiting")
    if result.waiting and not dry_run:
        raise typer.Exit(NotifierFailed.exit_code)
