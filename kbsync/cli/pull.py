"""``kbsync pull``"""

from __future__ import annotations

import typer

from kbsync.cli.command import JsonOption, verb


@verb(
    "pull",
    examples=["kbsync pull", "kbsync pull --json | jq .waiting"],
    exits=[65, 69, 74, 75, 76],
    prints="kbsync.stages.pull:PullResult",
)
def pull(context: typer.Context, json: JsonOption = False) -> None:
    """Fetch changed statements of the watched relations from the source into the ledger.

    Only items with a new revision are fetched. Each page is stored whole or not at all, so a pull that failed half-way
    is simply run again. Changes are believed only after the relation's trust time; until then they wait.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import count, emit, say
    from kbsync.stages.pull import pull as stage

    with application(context) as app, app.writer() as writer:
        result = stage(writer.run, app.source, app.relations)
    if json:
        return emit(result)
    if result.nothing_new:
        say(f"already up to date: {count(result.watched, 'item')} watched, none has a new revision")
    else:
        changed = result.statements
        say(f"{count(result.fetched, 'item')} of {result.watched} had a new revision")
        say(f"statements: {changed.added} added, {changed.changed} changed, {changed.removed} removed")
        say(f"facts: {result.observed} changed, {result.believed} became trusted")
    if result.waiting:
        say(f"{count(result.waiting, 'fact')} wait to be trusted")
    return None
