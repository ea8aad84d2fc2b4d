"""A source that hears of changes: fewer questions, the same ledger, and polling wherever it can't be sure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from stage_world import CAPITAL, RELATIONS, World, statement

from kbsync.domain.statement import ItemId
from kbsync.stages.pull import PullResult, pull
from kbsync.stages.watch import WHOLE_POLL
from kbsync.wikidata.events import EventStream
from kbsync.wikidata.streamed import StreamedSource
from tests.wikidata.sse_server import StreamServer, event

AGENT = "kbsync-tests/1 (tests@example.org)"


@pytest.fixture
def stream(world: World) -> Iterator[StreamServer]:
    """Something happens on other items every minute, so that the stream is never silent for long."""
    begin = world.clock.time - timedelta(minutes=15)
    noise = [event(begin + timedelta(minutes=n), "Q777777", number=n) for n in range(60)]
    with StreamServer(noise) as server:
        yield server


def tell(server: StreamServer, at: datetime, *items: str) -> None:
    server.events += [event(at, item, number=1000) for item in items]
    server.events.sort(key=lambda e: e["meta"]["dt"])


def streamed(world: World, server: StreamServer) -> StreamedSource:
    heard = EventStream(server.url, AGENT, idle=2.0, deadline=10.0, now=world.clock.now)
    return StreamedSource(world.source, heard)


def pull_heard(world: World, source: StreamedSource) -> PullResult:
    return pull(world.run, source, RELATIONS)


def test_after_a_whole_poll_only_what_the_stream_names_is_asked_for(world: World, stream: StreamServer) -> None:
    source = streamed(world, stream)
    assert pull_heard(world, source).polled == 3
    world.pass_time(timedelta(minutes=5))
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(0))
    tell(stream, world.clock.time - timedelta(seconds=1), "Q38")
    result = pull_heard(world, source)
    assert (result.polled, result.fetched, result.observed) == (1, 1, 1)
    world.pass_time(timedelta(minutes=15))
    assert pull_heard(world, source).polled == 1  # heard again: not every server may have known it
    assert pull_heard(world, source).polled == 0


def test_an_endpoint_that_lags_behind_the_stream_is_asked_again(world: World, stream: StreamServer) -> None:
    source = streamed(world, stream)
    pull_heard(world, source)
    world.pass_time(timedelta(minutes=5))
    tell(stream, world.clock.time - timedelta(seconds=1), "Q38")
    world.source.now -= timedelta(minutes=4)
    assert (pull_heard(world, source).polled, world.believed("Q38", CAPITAL)) == (1, {"Q220"})
    world.source.now += timedelta(minutes=4)
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(minutes=1))
    result = pull_heard(world, source)
    assert (result.polled, result.observed) == (1, 1)


def test_deletions_are_heard_of_too(world: World, stream: StreamServer) -> None:
    source = streamed(world, stream)
    pull_heard(world, source)
    world.pass_time(timedelta(minutes=5))
    world.source.delete("Q38")
    server_event = event(world.clock.time - timedelta(seconds=1), "Q38") | {"type": "log", "log_type": "delete"}
    stream.events = sorted([*stream.events, server_event], key=lambda e: e["meta"]["dt"])
    assert pull_heard(world, source).statements.removed == 1


def test_where_the_stream_can_not_be_relied_on_everything_is_polled(world: World, stream: StreamServer) -> None:
    source = streamed(world, stream)
    pull_heard(world, source)
    world.pass_time(timedelta(minutes=5))
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(0))
    stream.garble = "{"
    result = pull_heard(world, source)
    assert (result.polled, result.fetched) == (3, 1)


def test_a_change_that_the_stream_never_told_is_found_by_the_daily_poll(world: World, stream: StreamServer) -> None:
    source = streamed(world, stream)
    pull_heard(world, source)
    world.pass_time(timedelta(minutes=5))
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(minutes=1))
    assert pull_heard(world, source).fetched == 0
    world.pass_time(WHOLE_POLL)
    assert pull_heard(world, source).fetched == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    with world.ledger.read() as tx:
        assert [s.value.text for s in tx.statements(ItemId("Q38"), CAPITAL) if s.value] == ["Q90"]
