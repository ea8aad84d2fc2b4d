"""``kbsync rebuild``"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from kbsync.stages.rebuild import RebuildResult


@verb(
    "rebuild",
    examples=["kbsync rebuild 3", "kbsync rebuild 3 --anew", "kbsync rebuild 3 --repair"],
    exits=[5, 65, 66, 70, 74, 75],
    prints="kbsync.stages.rebuild:RebuildResult",
    changes="the store, with --repair",
)
def rebuild(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The version to build again.", min=1)],
    anew: Annotated[
        bool,
        typer.Option(
            "--anew",
            help="Take nothing that is kept: compute target vectors, covariances and the like again.",
        ),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Store the weights again, where they were removed or damaged.")
    ] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Compute a version again from its manifest, and show that the same version comes out.

    Nothing is written without `--repair`, nor with `--dry-run`. If the hash differs, the command names what differs
    (a library's version, the covariance's text, a fact's target vector, a parameter's factors), and ends with code 5.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import NotReproduced
    from kbsync.operations.rebuild import run_rebuild

    with application(context) as app, ExitStack() as held:
        run = held.enter_context(app.writer()).run if repair and not dry_run else app.run
        result = run_rebuild(app, run, number, anew=anew, repair=repair and not dry_run)
    if json:
        emit(result)
    else:
        show(result, anew=anew)
        if dry_run and repair and result.reproduced:
            say("would be stored again")
    if not result.reproduced:
        raise typer.Exit(NotReproduced.exit_code)


def show(result: RebuildResult, *, anew: bool) -> None:
    from kbsync.cli.output import count, say

    reused = f"{result.targets_reused} of {count(result.facts, 'target vector')} from the store"
    if result.reproduced:
        stored = ", stored again" if result.repaired else ""
        say(f"reproduced: version {result.version} is {result.got}{stored} ({reused}, {result.seconds:.1f} s)")
        return
    say(f"not reproduced: version {result.version} is {result.expected}, and {result.got} came out ({reused})")
    for difference in result.differences:
        say(f"  {difference}")
    if not anew and result.targets_reused < result.facts:
        say("target vectors were computed again, and their last bits depend on which share a batch: try `--anew`")
