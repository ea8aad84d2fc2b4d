"""``kbsync release``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "release",
    examples=["kbsync release Q142 P6 --reason 'the two neighbours were wrong before, checked by hand'"],
    exits=[65, 66, 75],
    prints="kbsync.stages.release.quarantine:FreedFact",
    changes="the ledger",
)
def release(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The subject, such as Q142.")],
    property: Annotated[str, typer.Argument(metavar="PROPERTY", help="The property: P6, or P6/P26 of a consequence.")],
    reason: Annotated[str, typer.Option(metavar="REASON", help="The reason; it goes into the audit trail.")],
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Let a fact out of quarantine: the next plan holds it again.

    `kbsync status` lists what is in quarantine and why. A fact comes out by itself when its value changes. Refused
    versions that hold it are measured again when they are planned again.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import DataError
    from kbsync.domain.fact import FactKey
    from kbsync.domain.statement import item_id, property_path
    from kbsync.stages.release.quarantine import free_fact

    if not reason.strip():
        raise DataError("A fact leaves quarantine only with a reason.", next_step="Give one with --reason.")
    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = free_fact(writer.run, FactKey(item_id(item), property_path(property)), reason)
    if json:
        return emit(result)
    if result.already:
        return say(f"not in quarantine: {result.subject} {result.property}")
    return say(f"out of quarantine: {result.subject} {result.property} (it was there because: {result.was})")
