"""``large`` and ``demo-check``: what needs reference data that this repository does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, options, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="Directory of the reference data.")]


@verb(
    "large",
    examples=["python -m tests.evidence large --data ../shared/data --facts 200"],
    exits=[65, 66, 70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a directory and a file",
)
def large(
    context: typer.Context,
    data: DataOption,
    facts: Annotated[int, typer.Option(min=1, metavar="N", help="Facts in the version.")] = 200,
    state: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.", file_okay=False)] = Path(
        "large-state"
    ),
    output: OutputOption = RESULTS / "large.json",
    json: JsonOption = False,
) -> None:
    """Build one version of many real facts, measure it twice, and compare both measurements with its report.

    Real triples of the reference data are served by a SPARQL server on loopback and go through the whole pipeline. The
    search for culprits is off: the run shows what a large version and its report look like, whatever the gate decides.
    """
    from kbsync.cli.progress import work_for
    from kbsync.system import log
    from kbsync.system.stop_request import StopRequest, on_signals
    from tests.evidence.large import measure_large

    log.set_up("console", "info")
    with on_signals(StopRequest()) as stop:
        document = measure_large(data, facts, state.resolve(), work_for(stop, options(context)))
    conclude(document, output, json=json)


@verb(
    "demo-check",
    examples=["python -m tests.evidence demo-check --data ../shared/data"],
    exits=[65, 66],
    prints="tests.evidence.demo_check:Report",
    changes="",
)
def demo_check(context: typer.Context, data: DataOption, json: JsonOption = False) -> None:
    """Compare the items and statements of the demonstration's tables with reference data.

    An item is confirmed where a reference knows its id by one of our names, and contradicted where references know it
    by other names only, which is an error. A statement is confirmed where a reference has the same triple.
    """
    from kbsync.cli.output import emit, say
    from kbsync.demo.table import load_table
    from kbsync.domain.errors import DataError
    from tests.evidence.demo_check import compare, lines, read_reference

    table = load_table()
    report = compare(table, read_reference(data, frozenset(table.items)))
    if json:
        emit(report)
    else:
        for line in lines(table, report):
            say(line)
    if report.contradicted:
        raise typer.Exit(DataError.exit_code)
