"""``kbsync bench …``: one verb a benchmark. None reads a configuration unless its help says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, options, verb
from kbsync.cli.research.finish import RESULTS, finish


@verb(
    "bench pull",
    examples=["kbsync bench pull", "kbsync bench pull --items 1000 --unwatched 0 --output /tmp/pull.json"],
    exits=[69, 74, 76],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def pull(
    context: typer.Context,
    items: Annotated[int, typer.Option(min=1, metavar="N", help="Watched items.")] = 10_000,
    properties: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Statements of each.")] = 10,
    changed: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Of the items, between two pulls.")
    ] = 0.01,
    unwatched: Annotated[
        int, typer.Option(min=0, metavar="N", help="Items that make the graph larger before the last pull.")
    ] = 20_000,
    edits: Annotated[
        int, typer.Option(min=0, metavar="N", help="Single edits that a listener hears of; a third as many more, late.")
    ] = 30,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws the world and its changes.")] = 0,
    output: Annotated[Path, typer.Option(metavar="PATH", help="The JSON file.", dir_okay=False)] = RESULTS
    / "pull.json",
    json: JsonOption = False,
) -> None:
    """Measure what pulls cost: requests, seconds and peak memory of the first one and of later ones; and how long an
    edit takes from the event stream into the ledger.

    A SPARQL server with a made-up world of Wikidata's shape and an event stream run on loopback meanwhile; each pull has
    a process of its own, and so has the listener. The file is written anew.
    """
    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals
    from tests.evidence.load.pull import bench_pull
    from tests.evidence.load.pull_world import Extent

    extent = Extent(items=items, properties=properties, changed=changed, unwatched=unwatched)
    with on_signals(StopRequest()) as stop:
        document = bench_pull(extent, work_for(stop, options(context)), edits=edits, seed=seed)
    finish(document, output, json=json)


@verb(
    "bench ledger",
    examples=[
        "kbsync bench ledger",
        "kbsync bench ledger --items 400 --postgresql postgresql://kbsync@localhost/bench --output /tmp/ledger.json",
    ],
    exits=[74, 75],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def ledger(
    context: typer.Context,
    items: Annotated[int, typer.Option(min=10, metavar="N", help="Items of 25 statements each.")] = 40_000,
    sqlite: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file to fill; named again, it is filled on. Default: none.")
    ] = None,
    postgresql: Annotated[
        str | None, typer.Option(metavar="URL", help="An empty database to fill. Default: none is measured.")
    ] = None,
    output: Annotated[Path, typer.Option(metavar="PATH", help="The JSON file.", dir_okay=False)] = RESULTS
    / "ledger.json",
    json: JsonOption = False,
) -> None:
    """Measure what a ledger of a million statements costs: to fill, to ask, and on disk.

    Statements through time with their history, facts, verdicts, versions and an audit trail are made up and written as
    pull, probe and plan write them; then `status`, `explain` and the search for what is due are timed.
    """
    import tempfile

    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals
    from tests.evidence.load.ledger import bench_ledger
    from tests.evidence.load.ledger_world import LedgerExtent

    with tempfile.TemporaryDirectory(prefix="kbsync-bench-") as directory, on_signals(StopRequest()) as stop:
        file = (sqlite or Path(directory) / "ledger.sqlite3").expanduser().absolute()
        urls = [f"sqlite:///{file}", *([postgresql] if postgresql else [])]
        work = work_for(stop, options(context))
        document = bench_ledger(urls, LedgerExtent(items=items), work)
    finish(document, output, json=json)
