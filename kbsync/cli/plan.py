"""``kbsync plan``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from kbsync.views.results import PlanView


@verb(
    "plan",
    examples=["kbsync plan", "kbsync plan --all", "kbsync plan --json > plan.json"],
    exits=[65, 74, 75],
    prints="kbsync.views.results:PlanView",
    changes="the ledger",
)
def plan(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also list the facts that stay as they are.")] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Make the edit plan of the next version, and print it: nothing is edited yet.

    The plan holds every believed fact that the base gets wrong, each with its change against the current version: add,
    change, retract or keep. Facts that contradict each other, floods about one subject, answers that look like no name,
    and quarantined ones are refused by name. A plan that comes near the recipe's capacity says so.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.views.results import plan_view

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = app.stages.plan(writer)
    view = plan_view(result)
    return emit(view) if json else show(view, everything=everything)


def show(view: PlanView, *, everything: bool = False) -> None:
    from kbsync.cli.output import count, say, short, table

    entries = [e for e in view.entries if everything or e.change != "keep"]
    rows = [(e.change, f"{e.label} ({e.subject} {e.property})", e.answer, e.reason) for e in entries]
    table(("change", "fact", "answer", "reason"), rows)
    table(("refused", "reason"), [(f"{r.subject} {r.property}", r.reason) for r in view.refused])
    kept = len(view.entries) - view.changes
    against = f"version {view.predecessor}" if view.predecessor else "the base"
    if view.warning:
        say(f"warning: {view.warning}; `kbsync bench capacity` measures it, [gate] decides")
    known = "already recorded as" if view.already else "recorded as"
    say(f"{count(view.changes, 'change')} against {against}, {count(kept, 'fact')} kept, {len(view.refused)} refused")
    say(f"{known} plan {short(view.plan)}" + ("" if view.changes else "; nothing to do"))
