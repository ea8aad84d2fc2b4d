"""``pull`` and ``ledger``: what kbsync does under load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, options, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, finish


@verb(
    "pull",
    examples=[
        "python -m tests.evidence pull",
        "python -m tests.evidence pull --items 1000 --unwatched 0 --output /tmp/pull.json",
    ],
    exits=[69, 74, 76],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def pull(
    context: typer.Context,
    items: Annotated[int, typer.Option(min=1, metavar="N", help="Watched items.")] = 10_000,
    properties: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Statements of each item.")] = 10,
    changed: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of the items that changes between two pulls.")
    ] = 0.01,
    unwatched: Annotated[
        int, typer.Option(min=0, metavar="N", help="Unwatched items that are added before the last pull.")
    ] = 20_000,
    edits: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Single edits whose way through the event stream is timed; a third as many follow that the endpoint "
            "knows only seconds later.",
        ),
    ] = 30,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws the items and their changes.")] = 0,
    output: OutputOption = RESULTS / "pull.json",
    json: JsonOption = False,
) -> None:
    """Measure what pulls cost: requests, seconds and peak memory of the first one and of later ones; and how long an
    edit takes from the event stream into the ledger.

    A SPARQL server with made-up items in Wikidata's form and an event stream run on loopback. Each pull runs in a
    process of its own, and so does the listener.
    """
    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals
    from tests.evidence.load.pull import measure_pulls
    from tests.evidence.load.pull_world import WorldSize

    size = WorldSize(items=items, properties=properties, changed=changed, unwatched=unwatched)
    with on_signals(StopRequest()) as stop:
        document = measure_pulls(size, work_for(stop, options(context)), edits=edits, seed=seed)
    finish(document, output, json=json)


@verb(
    "ledger",
    examples=[
        "python -m tests.evidence ledger",
        "python -m tests.evidence ledger --items 400 --postgresql postgresql://kbsync@localhost/bench",
    ],
    exits=[74, 75],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def ledger(
    context: typer.Context,
    items: Annotated[int, typer.Option(min=10, metavar="N", help="Items of 25 statements each.")] = 40_000,
    sqlite: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The file to fill. An interrupted filling of it goes on. Default: a temporary one."
        ),
    ] = None,
    postgresql: Annotated[
        str | None, typer.Option(metavar="URL", help="An empty PostgreSQL database to fill, too. Default: none.")
    ] = None,
    output: OutputOption = RESULTS / "ledger.json",
    json: JsonOption = False,
) -> None:
    """Measure what a ledger of a million statements costs: to fill, to query, and on disk.

    Made-up statements with their history, facts, verdicts, versions and an audit trail are written as pull, probe and
    plan write them. Then `status`, `explain`, `versions` and the search for unjudged facts are timed.
    """
    import tempfile

    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals
    from tests.evidence.load.ledger import measure_ledgers
    from tests.evidence.load.ledger_world import LedgerSize

    with tempfile.TemporaryDirectory(prefix="kbsync-ledger-") as directory, on_signals(StopRequest()) as stop:
        file = (sqlite or Path(directory) / "ledger.sqlite3").expanduser().absolute()
        urls = [f"sqlite:///{file}", *([postgresql] if postgresql else [])]
        document = measure_ledgers(urls, LedgerSize(items=items), work_for(stop, options(context)))
    finish(document, output, json=json)
