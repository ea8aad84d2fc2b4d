"""The daemon hears: with real parts over HTTP, an event becomes a row long before the schedule comes to it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from kbsync.bootstrap import App
from kbsync.config import Configuration, load_all
from kbsync.daemon import daemon, listening
from kbsync.daemon.listening import ListenerThread
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.pull.listen import Listener
from kbsync.stages.pull.pull import pull
from kbsync.system import log
from kbsync.system.stop_request import StopRequest
from kbsync.testing.fake_source import FakeSource
from tests.support.oxigraph_server import OxigraphServer
from tests.support.sse_server import StreamServer, event
from tests.support.stage_world import statement
from tests.support.turtle_world import turtle
from tests.support.world_app import MAIN, write_configuration

CAPITAL = PropertyId("P36")
PATIENCE = 60.0


@dataclasses.dataclass
class Place:
    server: OxigraphServer
    stream: StreamServer
    world: FakeSource
    configuration: Configuration
    ledger: SqlLedger
    output: io.StringIO

    def edit(self, item: str, value: str) -> None:
        """A new value at the endpoint, and the event that tells of it."""
        self.world.now = datetime.now(UTC)
        head = self.world.set_item(item, label=item, statements=[statement(item, "P36", value)])
        self.server.replace(turtle(self.world))
        self.stream.push(event(self.world.now, item, number=head.revision, revision=head.revision))

    def values(self, item: str) -> list[str]:
        with self.ledger.read() as tx:
            return [s.value.text for s in tx.statements(ItemId(item), CAPITAL) if s.value]

    def logged(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]

    def without_stream(self) -> Configuration:
        source = self.configuration.settings.source.model_copy(update={"events": ""})
        settings = self.configuration.settings.model_copy(update={"source": source})
        return dataclasses.replace(self.configuration, settings=settings)


def wait_for(what: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    world = FakeSource(now=datetime.now(UTC) - timedelta(days=30))
    for item, value in (("Q142", "Q90"), ("Q183", "Q64"), ("Q38", "Q220")):
        world.set_item(item, label=item, statements=[statement(item, "P36", value)])
        world.set_item(value, label=value)
    world.now = datetime.now(UTC)
    noise = [event(world.now - timedelta(minutes=n), "Q777777", number=n, revision=1) for n in range(12, -1, -1)]
    with OxigraphServer() as server, StreamServer(noise) as stream:
        server.replace(turtle(world))
        main = MAIN.replace("http://127.0.0.1:9/sparql", server.endpoint)
        main = main.replace("attempts = 1", f'attempts = 1\nevents = "{stream.url}"')
        configuration = load_all(write_configuration(tmp_path, main + '[schedule]\nsync = "6h"\njitter = "0s"\n'))
        url = f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite3'}"
        schema.upgrade(url)
        output = io.StringIO()
        log.set_up("json", "debug", output)
        with closing(App(configuration, actor="test")) as app, app.puller() as run:
            pull(run, app.source, app.relations)
        ledger = SqlLedger(url)
        yield Place(server, stream, world, configuration, ledger, output)
        ledger.close()
        structlog.reset_defaults()


@pytest.mark.slow
def test_the_daemon_pulls_what_it_hears_of_hours_before_its_schedule(place: Place) -> None:
    """The first cycle fails for want of a model, and the schedule's next is six hours away."""
    failed: list[BaseException] = []

    def play() -> None:
        try:
            wait_for(lambda: place.logged("cycle failed") and place.logged("listening"))
            assert place.values("Q38") == ["Q220"]
            place.edit("Q38", "Q90")
            wait_for(lambda: place.values("Q38") == ["Q90"])
            wait_for(lambda: place.logged("heard of changes"))
        except BaseException as error:
            failed.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=play)
    thread.start()
    daemon.Daemon(place.configuration).run()
    thread.join()
    assert not failed
    (heard,) = place.logged("heard of changes")
    assert (heard["items"], heard["fetched"], heard["observed"]) == (["Q38"], 1, 1)
    assert place.logged("daemon stopped")
    assert not [t for t in threading.enumerate() if t.name == "listening"]


@pytest.mark.slow
def test_a_configuration_without_the_stream_ends_the_listening_and_another_begins_it(place: Place) -> None:
    now, stop, metrics = [place.configuration], StopRequest(), ProcessMetrics()
    listener = ListenerThread(lambda: now[0], stop, metrics, None)
    listener.start()
    wait_for(lambda: place.logged("listening"))
    now[0] = place.without_stream()
    listener.wake()
    requests = len(place.stream.requests)
    place.edit("Q38", "Q90")
    time.sleep(2.5)
    assert place.values("Q38") == ["Q220"]
    assert len(place.stream.requests) == requests
    now[0] = dataclasses.replace(place.configuration)
    listener.wake()
    wait_for(lambda: place.values("Q38") == ["Q90"] and metrics.registry.get_sample_value("kbsync_heard_items_total"))
    assert metrics.registry.get_sample_value("kbsync_heard_delay_seconds_count") == 1
    stop.request("the test")
    listener.end()


@pytest.mark.slow
def test_an_error_ends_a_listening_and_the_next_begins(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "AGAIN_SECONDS", 0.2)
    real, left = Listener.listen, [RuntimeError("boom"), KeyError("odd")]

    def listen(self: Any) -> None:
        if left:
            raise left.pop()
        real(self)

    monkeypatch.setattr(Listener, "listen", listen)
    stop, metrics = StopRequest(), ProcessMetrics()
    listener = ListenerThread(lambda: place.configuration, stop, metrics, None)
    listener.start()
    place.edit("Q38", "Q90")
    wait_for(lambda: place.values("Q38") == ["Q90"])
    stop.request("the test")
    listener.end()
    assert len(place.logged("listening failed")) == 2
