"""``kbsync report``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """Where the page was written, and its size."""

    version: int
    path: str
    bytes: int


@verb(
    "report",
    examples=["kbsync report 3", "kbsync report 3 --output /tmp/version-3.html"],
    exits=[66, 74],
    prints="kbsync.cli.report:ReportView",
    changes="a file",
)
def report(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="A version that was measured.", min=1)],
    output: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The HTML file. Default: report-N.html.", dir_okay=False)
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Write a version's report as one HTML page: figures, plots, facts, refusals.

    The page is read from the ledger alone and needs no network: it may be sent by mail and opened from disk.
    """
    from kbsync.checkpoints.os_errors import explained
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.system.durable import write_for_people
    from kbsync.views.report import report as page

    with application(context) as app, app.ledger.read() as tx:
        text = page(tx, app.relations, number, app.clock.now())
    path = output or Path(f"report-{number}.html")
    if not dry_run:
        with explained(f"writing {path}", kept="What stood there before is kept."):
            write_for_people(path, text.encode())
    view = ReportView(version=number, path=str(path), bytes=len(text.encode()))
    return (
        emit(view)
        if json
        else say(f"would be written to {view.path}, {view.bytes:,} bytes" if dry_run else f"written to {view.path}")
    )
