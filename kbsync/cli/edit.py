"""``kbsync edit``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "edit",
    examples=["kbsync edit", "kbsync edit 3f9c12ab04de"],
    exits=[65, 66, 70, 74, 75],
    prints="kbsync.views.results:EditView",
    changes="the ledger, the store",
)
def edit(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="Hash of a recorded plan, in full. Default: the newest plan.")] = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Build the candidate version that a plan describes, from the pinned base.

    The base model's files are never touched: a version is stored as small factors beside them. Facts that can't be
    edited soundly are left out by name and put into quarantine. A version that was built before is not built again.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say, short, table
    from kbsync.domain.errors import NotFound
    from kbsync.views.results import edit_view

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        if not plan:
            with app.ledger.read() as tx:
                newest = tx.newest_plan()
            if newest is None:
                raise NotFound("The ledger holds no plan yet.", next_step="Make one: `kbsync plan`.")
            plan = newest.plan_hash
        view = edit_view(app.stages.forecast_edit(writer, plan) if dry_run else app.stages.edit(writer, plan))
    if json:
        return emit(view)
    table(("left out", "reason"), [(f.fact, f.reason) for f in view.left_out])
    if view.already:
        say(f"already built: version {view.version} ({view.state}), {short(view.hash)}")
    elif dry_run:
        say(f"would build version {view.version} from plan {short(plan)}")
    else:
        say(f"built version {view.version}, {short(view.hash)}; `kbsync evaluate {view.version}` measures it")
    return None
