"""``python -m tests.evidence pull``: what a pull costs, in requests, seconds and memory, as the watch set changes
little.

A real SPARQL server on loopback answers; the client, the stage and the ledger are those of every pull. Each pull runs
in a process of its own, because a process's peak of memory never falls again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kbsync.operations.evidence import Figure, at_most, evidence, peak_rss_bytes
from kbsync.ports import Work
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.load import listen, pull_world
from tests.evidence.load.pull_world import WorldSize
from tests.evidence.request_budget import pull_requests

MOST_REQUESTS = 60
"""The demand for a pull of 10,000 items of which few changed; for other numbers of items it is scaled."""
MOST_GROWTH = 0.05
"""How much larger the peak may be with a larger graph at the endpoint: two equal pulls differ by as much."""
BUDGETS = (1_000, 10_000, 100_000)
"""Numbers of watched items for which the documentation gives the expected requests."""
CYCLES = 4
"""Pulls a day by the default schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCost:
    """What one pull cost."""

    requests: int
    """Requests that were sent."""
    seconds: float
    """Of the stage."""
    peak_bytes: int
    """Of the whole process."""
    watched: int
    fetched: int
    statements: int
    changed: int


def measure_pulls(size: WorldSize, work: Work, *, edits: int = 30, seed: int = 0) -> dict[str, Any]:
    """Pull a new world, an unchanged one, a changed one, and a changed one behind a larger graph; then listen.

    Args:
        size: How much the world holds.
        work: Shows the progress, and hears whether to stop.
        edits: Single edits of which the listener hears, one after the other.
        seed: Draws the world and the edits.

    Returns:
        The evidence document.

    Raises:
        SourceError: The local server can't be started.
        Stopped: A stop was asked for; raised between two pulls.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kbsync-bench-") as directory, OxigraphServer() as server:
        url = _ledger(Path(directory))
        triples = _load(server, pull_world.turtle(size, seed), work, "load the watched world")
        costs = {"first pull": _measure(server, url, size, work)}
        costs["nothing changed"] = _measure(server, url, size, work)
        _change(server, size, seed, 1)
        costs["some changed"] = _measure(server, url, size, work)
        more = _load(server, pull_world.unwatched(size, seed), work, "load what nobody watches")
        _change(server, size, seed, 2)
        costs["some changed, larger graph"] = _measure(server, url, size, work)
        heard = listen.measure(server, url, size, work, edits=edits, seed=seed) if edits else None
    figures = _figures(size, costs, triples, more)
    figures += [*(listen.figures(heard) if heard else []), *_budgets(size, costs)]
    seconds = time.monotonic() - begun
    details = {name: asdict(cost) for name, cost in costs.items()}
    return evidence(
        "python -m tests.evidence pull",
        figures,
        seed=seed,
        started=started,
        seconds=seconds,
        extent=asdict(size),
        pulls=details,
        heard=asdict(heard) if heard else None,
    )


def _figures(size: WorldSize, costs: dict[str, PullCost], triples: int, more: int) -> list[Figure]:
    found = [
        Figure("items watched", size.items, "items"),
        Figure("statements of them", size.statements, "statements"),
        Figure("items changed between pulls", round(size.items * size.changed), "items"),
    ]
    most = max(10, round(MOST_REQUESTS * size.items / 10_000))
    for name, cost in costs.items():
        bounded = name != "first pull"
        requests = f"{name}: requests"
        found += [
            at_most(requests, cost.requests, "requests", most)
            if bounded
            else Figure(requests, cost.requests, "requests"),
            Figure(f"{name}: items fetched", cost.fetched, "items"),
            Figure(f"{name}: statements written", cost.changed, "statements"),
            Figure(f"{name}: duration", cost.seconds, "s"),
            Figure(f"{name}: peak memory", cost.peak_bytes / 2**20, "MiB"),
        ]
    small, large = costs["some changed"], costs["some changed, larger graph"]
    return [
        *found,
        Figure("triples behind the endpoint", triples, "triples"),
        Figure("triples behind the larger graph", more, "triples"),
        at_most("peak memory, growth with the graph", large.peak_bytes / small.peak_bytes - 1, "share", MOST_GROWTH),
    ]


def _budgets(size: WorldSize, costs: Mapping[str, PullCost]) -> list[Figure]:
    """The computed requests of pulls of other sizes, and how far the computation is from the measured pulls."""
    changed = round(size.items * size.changed)
    counts = {
        "first pull": (size.items, min(size.objects, size.statements)),
        "nothing changed": (0, 0),
        "some changed": (changed, 0 if size.statements > 20 * size.objects else changed),
    }
    off = [
        abs(costs[name].requests - pull_requests(watched=size.items, changed=c, new_objects=n))
        for name, (c, n) in counts.items()
    ]
    found = [at_most("expected requests: off from those measured above", max(off), "requests", 0)]
    for watched in BUDGETS:
        some = watched // 100
        poll = pull_requests(watched=watched, changed=some, new_objects=some)
        first = pull_requests(watched=watched, changed=watched, new_objects=watched)
        found += [
            Figure(f"expected for {watched:,} items: first pull, an object for each", first, "requests"),
            Figure(f"expected for {watched:,} items: 1 % changed, a new object for each", poll, "requests"),
            Figure(f"expected for {watched:,} items: a day of {CYCLES} such pulls", CYCLES * poll, "requests"),
        ]
    return found


def _load(server: OxigraphServer, documents: Iterator[str], work: Work, name: str) -> int:
    work.start(name, None)
    triples = 0
    for document in documents:
        triples = server.load(document)
        work.advance()
    work.finish()
    return triples


def _change(server: OxigraphServer, size: WorldSize, seed: int, turn: int) -> None:
    update, _ = pull_world.change(size, seed, turn)
    server.update(update)


def _measure(server: OxigraphServer, url: str, size: WorldSize, work: Work) -> PullCost:
    work.start("pull", None)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        cost = processes.submit(_pull, server.endpoint, url, size).result()
    work.advance()
    work.finish()
    return cost


def _ledger(directory: Path) -> str:
    from kbsync.ledger import schema

    url = f"sqlite:///{directory / 'ledger.sqlite3'}"
    schema.upgrade(url)
    return url


def _pull(endpoint: str, url: str, size: WorldSize) -> PullCost:
    """Make one pull in this process."""
    from kbsync.bootstrap.adapters import SystemClock
    from kbsync.ledger.ledger import SqlLedger
    from kbsync.stages.pull.pull import pull
    from kbsync.stages.session import Run
    from kbsync.wikidata.client import SparqlClient
    from kbsync.wikidata.source import WikidataSource

    client = SparqlClient(endpoint, pull_world.AGENT)
    with closing(SqlLedger(url)) as ledger:
        run = Run(ledger=ledger, clock=SystemClock(), work=Work(), actor="bench")
        begun = time.monotonic()
        result = pull(run, WikidataSource(client), pull_world.relations(size))
        seconds = time.monotonic() - begun
    written = result.statements
    return PullCost(
        requests=client.requests,
        seconds=seconds,
        peak_bytes=_peak_bytes(),
        watched=result.watched,
        fetched=result.fetched,
        statements=size.statements,
        changed=written.added + written.changed + written.removed,
    )


def _peak_bytes() -> int:
    """This process's own peak memory. On Linux, ``getrusage`` of a child begins with its parent's peak."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return peak_rss_bytes()
