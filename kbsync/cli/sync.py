"""``kbsync sync``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kbsync.cli.command import DryRunOption, JsonOption, options, verb

if TYPE_CHECKING:
    from kbsync.views.results import CycleView


@verb(
    "sync",
    examples=["kbsync sync", "15 3 * * *  kbsync --quiet --config /etc/kbsync/kbsync.toml sync    # in a crontab"],
    exits=[3, 65, 69, 70, 74, 75, 76],
    prints="kbsync.views.results:CycleView",
    changes="the ledger, the store, current",
)
def sync(context: typer.Context, dry_run: DryRunOption = False, json: JsonOption = False) -> None:
    """Run one whole cycle: pull, probe, plan, edit, evaluate, promote. This is what cron calls.

    Every stage is safe to repeat, so a cycle that was killed anywhere is simply run again. When the gate refuses the
    new version, current does not move and the command ends with code 3; the same refused facts are not built again.
    With `--quiet` nothing is printed when nothing happened. `--dry-run` pulls, asks and plans, and builds nothing.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.domain.errors import GateRefused
    from kbsync.stages.cycle import CycleOutcome, rehearse
    from kbsync.stages.cycle import sync as cycle
    from kbsync.views.results import cycle_view

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = (rehearse if dry_run else cycle)(writer, app.stages)
    view = cycle_view(result)
    idle = result.outcome in (CycleOutcome.NOTHING, CycleOutcome.HELD)
    if json:
        emit(view)
    elif not (idle and options(context).quiet):
        show(view)
    if result.outcome is CycleOutcome.REFUSED:
        raise typer.Exit(GateRefused.exit_code)


def show(view: CycleView) -> None:
    from kbsync.cli import evaluate, plan
    from kbsync.cli.output import count, say
    from kbsync.cli.research import recipe

    pulled, probed = view.pulled, view.probed
    say(f"pull: {count(pulled.fetched, 'item')} of {pulled.watched} fetched, {pulled.waiting} facts wait to be trusted")
    say(f"probe: {count(probed.asked, 'fact')} asked")
    if view.recipe:
        recipe.show(view.recipe)
    if view.plan.changes:
        plan.show(view.plan)
    if view.evaluation:
        evaluate.show(view.evaluation)
    match view.outcome:
        case "nothing to do":
            say("already in step: nothing to do")
        case "promoted":
            say(f"promoted: current is version {view.version}")
        case "back to the base":
            say("no fact is left to write: current is the base")
        case "planned":
            say("the next sync would build a version of this plan, measure it, and promote it if the gate lets it")
        case outcome:
            say(f"{outcome}: {view.reason}")
