"""``kbsync verify``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.operations.verify import VerificationView


@verb(
    "verify",
    examples=["kbsync verify", "kbsync verify 3", "kbsync verify --json | jq '.problems[].where'"],
    exits=[4, 66, 74],
    prints="kbsync.operations.verify:VerificationView",
    changes="",
)
def verify(
    context: typer.Context,
    number: Annotated[
        int | None, typer.Argument(metavar="N", help="One version and what went into it. Default: everything.", min=1)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Hash every stored byte again, and name each file that is damaged.

    Covers the versions' factors and manifests, target vectors and covariances, and the audit trail with the anchors
    that the manifests hold. Nothing is changed. Damage ends the command with code 4.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.domain.errors import Damaged
    from kbsync.operations import verify as operation

    with application(context) as app:
        view = operation.verify(app, number)
    if json:
        emit(view)
    else:
        show(view)
    if view.problems:
        raise typer.Exit(Damaged.exit_code)


def show(view: VerificationView) -> None:
    from kbsync.cli.output import count, say

    for problem in view.problems:
        named = problem.what if problem.where in problem.what else f"{problem.where}: {problem.what}"
        say(named)
    removed = f", {count(view.explanations, 'manifest')} of removed versions" if view.explanations else ""
    missing = f"; {count(view.missing, 'artifact')} not stored any more, to be computed again" if view.missing else ""
    read = f"{count(view.versions, 'version')}{removed}, {count(view.artifacts, 'artifact')}, {view.bytes:,} bytes"
    checked = f"{read}, {count(view.events, 'audit event')}{missing}"
    if not view.problems:
        return say(f"whole: {checked}")
    say(f"damaged: {count(len(view.problems), 'problem')} in {checked}")
    return say(
        "`kbsync rebuild N --repair` builds damaged weights again; a damaged artifact is set aside when it is used."
    )
