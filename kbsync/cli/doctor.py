"""``kbsync doctor``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.operations.doctor import CheckView


@verb(
    "doctor",
    examples=["kbsync doctor", "kbsync doctor --json | jq '.checks[] | select(.level != \"ok\")'"],
    exits=[65, 69, 74, 75, 76],
    prints="kbsync.operations.doctor:DoctorView",
    changes="",
)
def doctor(context: typer.Context, json: JsonOption = False) -> None:
    """Check that everything is in place, and say what to do about what is not.

    Configuration, state directory, disk space, database and schema, clock, lease, source (reachable, lag, shape of its
    answers, whether it accepts the User-Agent), relations, phrasings (enough for each use), model (loads, can be
    edited), covariance, gate (whether there is enough for it to measure), status page. Ends with the exit code of
    the first failed check.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import ConfigError
    from kbsync.operations.doctor import DoctorView, examine, failure

    checks: list[CheckView] = []

    def note(check: CheckView) -> None:
        checks.append(check)
        if not json:
            show(check)

    try:
        with application(context) as app:
            for check in examine(app):
                note(check)
    except ConfigError as error:
        note(failure("configuration", error))
    code = next((c.exit_code for c in checks if c.exit_code), 0)
    if json:
        emit(DoctorView(healthy=not code, checks=tuple(checks)))
    else:
        say("not everything is in place" if code else "everything is in place")
    if code:
        raise typer.Exit(code)


def show(check: CheckView) -> None:
    from kbsync.cli.output import say

    style = {"ok": "green", "warning": "yellow", "failed": "red"}.get(check.level, "dim")
    for number, line in enumerate(check.detail.splitlines() or [""]):
        say(f"{check.level if number == 0 else '':<8} {check.name if number == 0 else '':<16} {line}", style)
    if check.next_step:
        say(f"{'':<8} {'':<16} → {check.next_step}")
