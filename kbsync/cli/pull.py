"""``kbsync pull``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

_NAMED = 20
"""So many items are named in one line."""


@verb(
    "pull",
    examples=["kbsync pull", "kbsync pull --relation head_of_state", "kbsync pull --json | jq .waiting"],
    exits=[65, 66, 69, 74, 75, 76],
    prints="kbsync.stages.pull.pull:PullResult",
    changes="the ledger",
)
def pull(
    context: typer.Context,
    relation: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Pull this relation's subjects only. May be repeated.")
    ] = None,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Believe the source even if it says that much is gone.")
    ] = False,
    accept_time: Annotated[
        bool, typer.Option("--accept-time", help="Believe the source even if it says that it knows less than before.")
    ] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Fetch changed statements of the watched relations from the source into the ledger.

    Only items with a new revision are fetched. Each page is stored whole or not at all, so a pull that failed half-way
    is simply run again. Changes are believed only after the relation's trust time; until then they wait.
    A pull and an edit do not wait for each other.
    If more than a fifth of what is known is gone at once, the pull stops; see --accept-deletions.
    A source whose time lies before that of the last pull is refused; see --accept-time.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import count, emit, say

    with application(context, dry_run=dry_run) as app, app.puller() as run:
        group = app.group(relation) if relation else None
        result = app.stages.pull(run, group=group, accept_deletions=accept_deletions, accept_time=accept_time)
    if json:
        return emit(result)
    if result.nothing_new:
        say(f"already up to date: {count(result.watched, 'item')} watched, none has a new revision")
    else:
        changed = result.statements
        say(f"{count(result.fetched, 'item')} of {result.watched} had a new revision")
        if result.again:
            say(f"{count(result.again, 'item')} read once more: an older kbsync read their dates wrongly")
        say(f"statements: {changed.added} added, {changed.changed} changed, {changed.removed} removed")
        say(f"facts: {result.observed} changed, {result.believed} became trusted")
    if result.joined or result.left:
        say(f"members of relations: {result.joined} joined, {result.left} left")
    if result.unasked:
        say(
            f"not answered: the subject pattern of {', '.join(result.unasked)}; known members stand, the next pull asks"
        )
    if result.impossible:
        say(f"left as they were, changed at a time that has not come yet: {_named(result.impossible)}")
    if result.late:
        say(f"came older than the source had said a moment before, and grow no older: {_named(result.late)}")
    if result.waiting:
        say(f"{count(result.waiting, 'fact')} wait to be trusted")
    return None


def _named(items: Sequence[str]) -> str:
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return ", ".join(items[:_NAMED]) + more
