"""Whatever the stream or the endpoint does, no change is lost or recorded twice, and the watermark is right.

A real listener in a thread, a real event stream and a real SPARQL server, each over HTTP, and a real ledger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import Stopped
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.pull import listen
from kbsync.stages.pull.listen import Listener, Notice
from kbsync.stages.pull.pull import pull
from kbsync.stages.session import Run, puller
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata import events
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.events import EventStream
from kbsync.wikidata.source import WikidataSource
from kbsync.wikidata.streamed import StreamedSource
from tests.support.lying_proxy import FAULTS, LyingProxy
from tests.support.oxigraph_server import OxigraphServer
from tests.support.sse_server import StreamServer, event
from tests.support.stage_world import TTL, FixedClock, statement
from tests.support.turtle_world import turtle

AGENT = "kbsync-tests/1 (tests@example.org)"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CAPITAL = PropertyId("P36")
ITEMS = [f"Q{n}" for n in range(1, 6)]
RELATION = Relation(
    name="capital",
    property=CAPITAL,
    label="capital",
    phrasings=from_templates("{} is"),
    subjects=tuple(map(ItemId, ITEMS)),
)
PATIENCE = 20.0


class Stopping:
    """A check that ends the work once it is ``wanted``."""

    def __init__(self) -> None:
        self.wanted = threading.Event()

    def check(self) -> None:
        if self.wanted.is_set():
            raise Stopped("The test is over.")


class Site:
    """The world, its endpoint behind a proxy, and a ledger that knows the world as it was at the beginning."""

    def __init__(self, server: OxigraphServer, proxy: LyingProxy, path: Path) -> None:
        self.server, self.proxy = server, proxy
        self.world = FakeSource(now=BEGIN)
        for number, item in enumerate(ITEMS):
            self.world.set_item(item, label=item, statements=[statement(item, "P36", f"Q{100 + number}")])
            self.world.set_item(f"Q{100 + number}", label=f"object {number}")
        self.clock = FixedClock(BEGIN)
        schema.upgrade(f"sqlite:///{path}")
        self.ledger = SqlLedger(f"sqlite:///{path}")
        self.notices: list[Notice] = []
        self.number, self.idle = 0, 4.0
        self.publish()
        pull(self.run(Work()), self.source(None), [RELATION])

    def publish(self) -> None:
        """Let the endpoint know the world."""
        self.server.replace(turtle(self.world))

    def run(self, work: Work) -> Run:
        return Run(ledger=self.ledger, clock=self.clock, work=work, actor="test")

    def source(self, stream: StreamServer | None) -> Any:
        client = SparqlClient(self.proxy.endpoint, AGENT, attempts=1, sleep=lambda _: None)
        polled = WikidataSource(client)
        if stream is None:
            return polled
        heard = EventStream(
            stream.url, AGENT, idle=self.idle, attempts=3, now=self.clock.now, sleep=lambda _: time.sleep(0.01)
        )
        return StreamedSource(polled, heard)

    def edit(self, item: str, value: str, *, seconds: float = 1.0) -> dict[str, Any]:
        """Set a new value, some time later; returns the event that reports it. The endpoint does not know it yet."""
        self.number += 1
        self.clock.time += timedelta(seconds=seconds)
        self.world.now = self.clock.time
        head = self.world.set_item(item, label=item, statements=[statement(item, "P36", value)])
        return event(self.clock.time, item, number=self.number, revision=head.revision)

    def noise(self, at: datetime | None = None) -> dict[str, Any]:
        """An event about an item that nobody watches."""
        self.number += 1
        return event(at or self.clock.time, "Q777777", number=self.number)

    def stream(self, **faults: Any) -> StreamServer:
        """A stream with an event per minute, the first of them before the last whole pull."""
        return StreamServer([self.noise(BEGIN - timedelta(minutes=n)) for n in range(11, -1, -1)], **faults)

    @contextmanager
    def listening(self, stream: StreamServer) -> Iterator[None]:
        stopping = Stopping()
        run = self.run(Work(checks=[stopping.check]))

        def sleep(seconds: float) -> None:
            time.sleep(0.02)
            self.clock.time += timedelta(seconds=seconds)

        listener = Listener(
            run,
            self.source(stream),
            [RELATION],
            pulling=lambda: puller(run, TTL),
            sleep=sleep,
            report=self.notices.append,
        )

        def live() -> None:
            with suppress(Stopped):
                listener.listen()

        thread = threading.Thread(target=live)
        thread.start()
        try:
            yield
        finally:
            stopping.wanted.set()
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def live(self) -> dict[str, tuple[int, list[str]]]:
        """Item → (revision, values) in the ledger."""
        with self.ledger.read() as tx:
            held = tx.statements_of(CAPITAL, [ItemId(i) for i in ITEMS])
            heads = tx.heads([ItemId(i) for i in ITEMS])
        return {i: (heads[ItemId(i)].revision, [s.value.text for s in held[ItemId(i)] if s.value]) for i in ITEMS}

    def truth(self) -> dict[str, tuple[int, list[str]]]:
        """The same in the world."""
        known = {i: self.world.items[ItemId(i)] for i in ITEMS}
        return {i: (k.revision, [s.value.text for s in k.statements if s.value]) for i, k in known.items()}

    def wait_for(self, what: Callable[[], bool]) -> None:
        """Let real time pass, and the site's time with it, so that the listener's waits end."""
        give_up = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < give_up, (self.live(), self.notices[-3:])
            time.sleep(0.02)
            self.clock.time += timedelta(seconds=0.2)

    def settled(self) -> None:
        """Wait until the ledger equals the world; then check that nothing was written twice."""
        self.wait_for(lambda: self.live() == self.truth())
        with self.ledger.read() as tx:
            rows = [c for item in ITEMS for c in tx.statement_history(ItemId(item), CAPITAL)]
            whole = [n.result.server_time for n in self.notices if n.kind == "polled" and n.result]
            assert tx.watermark("wikidata") == [BEGIN, *whole][-1]
            assert len(rows) == len({(c.statement_id, c.after is None, c.revision) for c in rows})

    def kinds(self) -> set[str]:
        return {notice.kind for notice in self.notices}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[OxigraphServer, LyingProxy]]:
    with OxigraphServer() as server, LyingProxy(server.endpoint) as proxy:
        yield server, proxy


@pytest.fixture
def site(
    endpoint: tuple[OxigraphServer, LyingProxy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setattr(events, "BEAT", 0.05)
    endpoint[1].behave()
    made = Site(*endpoint, tmp_path / "ledger.sqlite3")
    yield made
    made.ledger.close()


def test_an_event_brings_its_item_and_leaves_the_watermark(site: Site) -> None:
    with site.stream() as stream, site.listening(stream):
        told = site.edit("Q1", "Q104")
        site.publish()
        site.proxy.requests.clear()
        stream.push(told)
        site.settled()
        most = "time, revision, statements, revisions of the objects; and once the endpoint's shape"
        assert 3 <= len(site.proxy.requests) <= 5, most
    with site.ledger.read() as tx:
        assert tx.watermark("wikidata") == tx.watermark("wikidata/P36") == BEGIN


def test_lines_that_end_again_and_again_lose_nothing(site: Site) -> None:
    """The service ends each after a quarter of an hour; here they last a fifth of a second."""
    with site.stream(line_seconds=0.2) as stream, site.listening(stream):
        for turn in range(6):
            told = site.edit(ITEMS[turn % 5], f"Q{100 + turn % 3}")
            site.publish()
            stream.push(told)
            site.settled()
            time.sleep(0.1)
        assert len(stream.requests) > 2
    assert site.kinds() == {"listening", "heard"}


def test_a_line_that_breaks_within_an_event_loses_nothing(site: Site) -> None:
    with site.stream(cut_after=2) as stream, site.listening(stream):
        told = [site.edit(item, "Q104") for item in ITEMS[:4]]
        site.publish()
        stream.push(*told)
        site.settled()
        assert len(stream.requests) >= 2
    assert "lost" not in site.kinds()


def test_doubles_and_canaries_change_nothing(site: Site) -> None:
    with site.stream() as stream, site.listening(stream):
        told = site.edit("Q1", "Q104")
        site.publish()
        canary = event(site.clock.time, "Q2", number=99, revision=99_999)
        canary["meta"]["domain"] = "canary"
        stream.push(canary, told, told, told | {"meta": told["meta"] | {"id": "another"}}, canary)
        site.settled()
        site.wait_for(lambda: "heard" in site.kinds())
        last = site.edit("Q3", "Q104")
        site.publish()
        stream.push(last)
        site.settled()
        site.wait_for(lambda: sum(n.kind == "heard" for n in site.notices) == 2)
    assert [n.items for n in site.notices if n.kind != "listening"] == [("Q1",), ("Q3",)]


def test_an_endpoint_behind_the_event_is_asked_until_it_is_there(site: Site) -> None:
    """Its own time is before the events'; three edits are reported before it advances."""
    with site.stream() as stream, site.listening(stream):
        stream.push(*(site.edit(item, "Q104") for item in ("Q1", "Q2", "Q3")))
        site.wait_for(lambda: sum(n.kind == "waiting" for n in site.notices) >= 3)
        assert site.live()["Q1"][1] == ["Q100"]
        site.publish()
        site.settled()
        site.wait_for(lambda: "heard" in site.kinds())
    assert site.kinds() == {"listening", "waiting", "heard"}


def test_a_server_of_the_endpoint_that_is_behind_its_own_time_is_asked_again(site: Site) -> None:
    """Two servers share one address: the one that tells the time is newer than the one that answers about the item."""
    with site.stream() as stream, site.listening(stream):
        before = dict(site.world.items)
        told = site.edit("Q1", "Q104")
        after, site.world.items = site.world.items, before
        site.publish()
        stream.push(told)
        site.wait_for(lambda: sum(n.kind == "waiting" for n in site.notices) >= 2)
        site.world.items = after
        site.publish()
        site.settled()


@pytest.mark.parametrize(
    "name", ["503 unavailable", "connection reset", "429 without a time", "body shorter than promised", "rows twice"]
)
def test_an_endpoint_that_fails_at_the_event_is_asked_again(site: Site, name: str) -> None:
    with site.stream() as stream, site.listening(stream):
        told = site.edit("Q1", "Q104")
        site.publish()
        site.proxy.lie(FAULTS[name], 0, lasting=True)
        stream.push(told)
        site.wait_for(lambda: site.proxy.lied and len(site.proxy.requests) > 2)
        site.proxy.behave()
        site.settled()


@pytest.mark.parametrize("fault", ["clamped", "in the middle", "garbled", "silent", "another type"])
def test_what_the_stream_does_not_tell_is_found_by_a_poll(
    site: Site, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit of Q1 is never reported. Once the stream works again, everything is polled once."""
    monkeypatch.setattr(listen, "FIRST_POLL", timedelta(0))
    monkeypatch.setattr(listen, "PAUSES", (timedelta(seconds=2), timedelta(seconds=4)))
    with site.stream() as stream:
        site.clock.time += timedelta(minutes=1)
        site.edit("Q1", "Q104")
        site.publish()
        if fault == "clamped":  # the stream begins with its oldest event and does not say so
            site.clock.time += timedelta(minutes=5)
            stream.oldest = site.clock.time
            stream.push(site.noise())
        elif fault == "in the middle":
            stream.events[3:-3] = []
        elif fault == "garbled":
            stream.garble = "{"
            stream.push(site.noise())
        elif fault == "silent":
            stream.silent, site.idle = True, 0.3
        else:
            stream.kind = "text/html"
        with site.listening(stream):
            site.wait_for(lambda: "lost" in site.kinds())
            stream.garble, stream.silent, stream.oldest, stream.kind = "", False, None, "text/event-stream"
            stream.events.clear()

            def stands() -> bool:
                stream.push(site.noise())
                time.sleep(0.05)
                return site.live() == site.truth()

            site.wait_for(stands)
            told = site.edit("Q2", "Q104")
            site.publish()
            stream.push(told)
            site.settled()
    assert {"lost", "listening", "polled"} <= site.kinds()
    assert sum(n.kind == "polled" for n in site.notices) == 1


def test_an_edit_and_its_revert_end_as_they_began(site: Site) -> None:
    with site.stream() as stream, site.listening(stream):
        told = site.edit("Q1", "Q104")
        site.publish()
        stream.push(told)
        site.settled()
        site.wait_for(lambda: observed(site) == ["Q104"])
        told = site.edit("Q1", "Q100")
        site.publish()
        stream.push(told)
        site.settled()
        site.wait_for(lambda: observed(site) == ["Q100"])
    with site.ledger.read() as tx:
        assert len(tx.statement_history(ItemId("Q1"), CAPITAL)) == 5


def observed(site: Site) -> list[str]:
    """The values of the first item's fact, as it was seen last."""
    with site.ledger.read() as tx:
        (fact,) = [record for record in tx.facts(CAPITAL) if record.key.subject == "Q1"]
    return [value.text for value in fact.observed.values]


def test_a_listener_that_was_killed_begins_where_the_last_whole_pull_ended(site: Site) -> None:
    """What it had heard and not yet pulled is not kept; the stream reports it again."""
    with site.stream() as stream:
        told = site.edit("Q1", "Q104")
        with site.listening(stream):
            stream.push(told)
            site.wait_for(lambda: "waiting" in site.kinds())
        assert site.live()["Q1"][1] == ["Q100"]
        site.publish()
        with site.listening(stream):
            site.settled()
    assert stream.requests[-1]["since"] == "2026-03-01T11:50:00Z"
