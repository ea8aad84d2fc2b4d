"""The listener's part of ``python -m tests.evidence pull``: seconds from an event until another process can read the
row.

A real SPARQL server, a real event stream with the pace of the public one, and a listener in its own process, as in
the daemon. Each edit is made at the endpoint and reported on the stream; another process reads the ledger until it has
the item's new revision.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import Any

from kbsync.domain.statement import ItemId
from kbsync.operations.evidence import Figure, at_most
from kbsync.ports import Work
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.load import pull_world
from tests.evidence.load.pull_world import WorldSize
from tests.support.local_stream import LocalStream, edit

NOISE = 40
"""Events a second about items that nobody watches: about as many as the public stream reports of all wikis."""
LAGS = 3.0, 12.0
"""Least and most seconds by which the endpoint is behind the stream in the second part. They are drawn for each edit,
so that they don't coincide with the listener's waits."""
LINE_SECONDS = 20.0
"""A connection ends after this time, so several times in a run; the public service ends one after 900."""
MOST_SECONDS = 10.0
"""The demand: a change arrives long before a schedule of minutes would find it."""
PATIENCE = 180.0
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTimes:
    """Seconds until the edits were in the ledger."""

    prompt: tuple[float, ...]
    """From the event, for edits that the endpoint had at once."""
    late: tuple[float, ...]
    """From when the endpoint had the edit, which was some seconds (``LAGS``) after the event."""
    requests: int
    """Requests of the listener to the endpoint."""
    lines: int
    """Connections that it opened to the stream."""


def measure(server: OxigraphServer, url: str, size: WorldSize, work: Work, *, edits: int, seed: int) -> ListenerTimes:
    """Time ``edits`` prompt edits, and a third as many late ones. Raises ``RuntimeError`` if one does not arrive."""
    draw = random.Random(f"{seed}/heard")
    server.update(pull_world.move_on(datetime.now(UTC)))
    with LocalStream(_before(), line_seconds=LINE_SECONDS) as stream, _listener(server, stream, url, size) as asked:
        world = _World(server, stream, url, size, draw)
        work.start("listen", edits + edits // 3)
        with closing(world), _noise(stream):
            prompt = []
            for _ in range(edits):
                time.sleep(draw.uniform(0.2, 3.0))
                prompt.append(world.edit(lag=0.0))
                work.advance()
            late = []
            for _ in range(edits // 3):
                late.append(world.edit(lag=draw.uniform(*LAGS)))
                work.advance()
        work.finish()
        return ListenerTimes(prompt=tuple(prompt), late=tuple(late), requests=asked(), lines=len(stream.requests))


def figures(heard: ListenerTimes) -> list[Figure]:
    """The figures of ``measure`` for the evidence file."""
    figures = [
        Figure("heard of: edits", len(heard.prompt), "items"),
        Figure("heard of: event to row, median", statistics.median(heard.prompt), "s"),
        at_most("heard of: event to row, longest", max(heard.prompt), "s", MOST_SECONDS),
    ]
    if heard.late:
        figures += [
            Figure("endpoint seconds behind: edits", len(heard.late), "items"),
            Figure("endpoint seconds behind: its having the edit to row, median", statistics.median(heard.late), "s"),
            at_most("endpoint seconds behind: its having the edit to row, longest", max(heard.late), "s", MOST_SECONDS),
        ]
    each = heard.requests / (len(heard.prompt) + len(heard.late))
    return [*figures, Figure("heard of: requests for each edit", each, "requests")]


class _World:
    """Makes edits at the endpoint, reports them on the stream, and looks for them in the ledger."""

    def __init__(
        self, server: OxigraphServer, stream: LocalStream, url: str, size: WorldSize, draw: random.Random
    ) -> None:
        from kbsync.ledger.ledger import SqlLedger

        self._server, self._stream, self._draw = server, stream, draw
        self._ledger = SqlLedger(url)
        self._left = draw.sample(size.watched, len(size.watched))
        self._revision = 1_000_000

    def close(self) -> None:
        self._ledger.close()

    def edit(self, *, lag: float) -> float:
        """Edit the next item; returns the seconds until its row is there, from the event or from the end of ``lag``."""
        item, at = self._left.pop(), datetime.now(UTC)
        self._revision += 1
        value = ItemId(f"Q{pull_world.FIRST_OBJECT + self._draw.randrange(100)}")
        update = pull_world.edit(item, value, self._revision, at)
        if not lag:
            self._server.update(update)
        self._stream.push(edit(at, item, number=self._revision, revision=self._revision))
        begun = time.monotonic()
        if lag:
            time.sleep(lag)
            self._server.update(update)
            begun = time.monotonic()
        while not self._has(item):
            if time.monotonic() - begun > PATIENCE:
                raise RuntimeError(f"The edit of {item} did not come within {PATIENCE:g} seconds.")
            time.sleep(_LOOK_SECONDS)
        return time.monotonic() - begun

    def _has(self, item: ItemId) -> bool:
        with self._ledger.read() as tx:
            return tx.heads([item])[item].revision == self._revision


def _before() -> list[dict[str, Any]]:
    """The events of the stream since before the last whole pull."""
    now = datetime.now(UTC)
    return [_other(now - timedelta(minutes=n), -n) for n in range(15, -1, -1)]


def _other(at: datetime, number: int) -> dict[str, Any]:
    """An event that concerns nobody: every third is about an unwatched item, the others are of other wikis."""
    wiki = "wikidatawiki" if number % 3 == 0 else "enwiki"
    return edit(at, f"Q{900_000_000 + abs(number)}", number=number, revision=1, wiki=wiki)


@contextmanager
def _noise(stream: LocalStream) -> Iterator[None]:
    ended = threading.Event()

    def make() -> None:
        number = 0
        while not ended.wait(1 / NOISE):
            number += 1
            stream.push(_other(datetime.now(UTC), 10_000_000 + number))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _listener(server: OxigraphServer, stream: LocalStream, url: str, size: WorldSize) -> Iterator[Any]:
    """Run a listener in its own process; gives a function that returns its number of requests to the endpoint."""
    context = get_context("spawn")
    stop, ready, requests = context.Event(), context.Event(), context.Value("q", 0)
    arguments = (server.endpoint, stream.url, url, size, stop, ready, requests)
    process = context.Process(target=_listen, args=arguments, daemon=True)
    process.start()
    try:
        if not ready.wait(PATIENCE):
            raise RuntimeError("The listener did not begin.")
        yield lambda: requests.value
    finally:
        stop.set()
        process.join(timeout=30)
        if process.is_alive():
            process.terminate()
            process.join()


def _listen(endpoint: str, stream: str, url: str, size: WorldSize, stop: Event, ready: Event, requests: Any) -> None:
    """Pull everything, then listen until ``stop``; runs in the listener's process."""
    from kbsync.bootstrap.adapters import SystemClock
    from kbsync.domain.errors import Stopped
    from kbsync.ledger.ledger import SqlLedger
    from kbsync.stages.pull.listen import Listener, Notice
    from kbsync.stages.pull.pull import pull
    from kbsync.stages.session import Run, puller
    from kbsync.wikidata.client import SparqlClient
    from kbsync.wikidata.events import EventStream
    from kbsync.wikidata.source import WikidataSource
    from kbsync.wikidata.streamed import StreamedSource

    def check() -> None:
        requests.value = client.requests - before
        if stop.is_set():
            raise Stopped("The benchmark is over.")

    client, watched = SparqlClient(endpoint, pull_world.AGENT), pull_world.relations(size)
    source = StreamedSource(WikidataSource(client), EventStream(stream, pull_world.AGENT))
    before = 0

    def tell(notice: Notice) -> None:
        if notice.kind == "listening":
            ready.set()

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    with closing(SqlLedger(url)) as ledger:
        run = Run(ledger=ledger, clock=SystemClock(), work=Work(checks=[check]), actor="bench")
        pull(run, source, watched)
        before = client.requests
        ttl = timedelta(minutes=10)
        listener = Listener(run, source, watched, pulling=lambda: puller(run, ttl), sleep=sleep, report=tell)
        with suppress(Stopped):
            listener.listen()
