"""``kbsync demo``"""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, options, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Where the demonstration would put everything, with which model, and whether an earlier one's ledger and versions
    there are replaced."""

    state: str
    model: str
    replaces: bool


@verb(
    "demo",
    examples=["kbsync demo", "kbsync demo --state /tmp/demo --text ~/texts"],
    exits=[3, 65, 69, 70, 74, 75],
    prints="kbsync.operations.evidence:Evidence",
    changes="a directory",
    foretells="kbsync.cli.demo:DemoPlan",
)
def demo(
    context: typer.Context,
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything goes; used again by the next run.", file_okay=False)
    ] = Path("demo-state"),
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Plain texts for the key covariance and the perplexity.", exists=True, file_okay=False
        ),
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="An empty PostgreSQL database instead of a SQLite file.")
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Run two whole cycles on real statements and a real model, on this machine alone.

    Starts a SPARQL server with a piece of Wikidata, edits a small model, lets the world change, and edits it again.
    The state directory can be examined with all commands afterwards. No configuration is read.
    """
    from rich.console import Console

    from kbsync.cli.output import emit, say
    from kbsync.cli.progress import work_for
    from kbsync.demo.run import MODEL, require_own, run_demo
    from kbsync.system import log
    from kbsync.system.stop_request import StopRequest, on_signals

    if dry_run:
        view = DemoPlan(state=str(state.resolve()), model=MODEL, replaces=require_own(state))
        if json:
            return emit(view)
        return say(f"would use {view.state} and {MODEL}" + ("; what an earlier run made there goes" * view.replaces))
    log.set_up("console", "error" if options(context).quiet else "info")
    with on_signals(StopRequest()) as stop:
        work = work_for(stop, options(context))
        code = run_demo(
            state,
            text=text,
            database_url=database_url,
            work=work,
            console=Console(highlight=False, stderr=json),
        )
    if json and not code:
        emit(jsonlib.loads((state / "demo.json").read_text(encoding="utf-8")))
    raise typer.Exit(code)
