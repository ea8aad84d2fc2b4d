"""``kbsync status``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.views.status import StatusView, VersionView


@verb(
    "status",
    examples=["kbsync status", "kbsync status --json | jq .current.number"],
    exits=[74],
    prints="kbsync.views.status:StatusView",
    changes="",
)
def status(context: typer.Context, json: JsonOption = False) -> None:
    """Show where everything stands: source, facts and verdicts, newest plan, current version, quarantine.

    Reads the ledger only: no model is loaded and the source is not asked.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.views import status as views

    with application(context) as app, app.ledger.read() as tx:
        view = views.status(tx, app.relations, app.clock.now())
    return emit(view) if json else show(view)


def show(view: StatusView) -> None:
    from kbsync.cli.output import say, table, text

    say(f"source    {view.source}, pulled up to {text(view.watermark)}" if view.watermark else "source    never pulled")
    if view.time_problem:
        say(f"          {view.time_problem}")
    say(f"current   {_version(view.current) if view.current else 'the base, unedited'}")
    if view.newest and not view.newest.current:
        say(f"newest    {_version(view.newest)}")
    if plan := view.plan:
        say(
            f"plan      {plan.hash[:12]} against {plan.predecessor or 'the base'}: {plan.add} add, "
            f"{plan.change} change, "
            f"{plan.retract} retract, {plan.keep} keep, {plan.refused} refused, {plan.guards} guarded"
        )
    columns = (
        "relation",
        "property",
        "#facts",
        "#believed",
        "#waiting",
        "#current",
        "#shaky",
        "#stale",
        "#unknown",
        "#ambiguous",
    )
    rows = [
        (
            r.name,
            r.property,
            r.facts,
            r.believed,
            r.waiting,
            *(r.verdicts[k.removeprefix("#")] for k in columns[5:]),
            r.unasked,
        )
        for r in view.relations
    ]
    table((*columns, "#unasked"), rows)
    table(("decided", "what"), [(f"{d.subject} {d.property}", d.decision) for d in view.decisions])
    table(("quarantined", "reason"), [(f"{q.subject} {q.property}", q.reason) for q in view.quarantine])


def _version(version: VersionView) -> str:
    gate = {True: "passed the gate", False: "refused by the gate", None: "not evaluated"}[version.passed]
    return f"version {version.number}, {version.state}, {version.facts} facts, {gate}"
