"""The event stream over real HTTP: what it tells, where it takes up again, and when it is not to be relied on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kbsync.wikidata.events import EventStream, Frame, changed_item, frames
from tests.wikidata.sse_server import StreamServer, event, every_ten_seconds

AGENT = "kbsync-tests/1 (tests@example.org)"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DATA = Path(__file__).parents[3] / "shared" / "data" / "wikidata"


class Time:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def stream(server: StreamServer, at: datetime, **settings: Any) -> tuple[EventStream, Time]:
    clock = Time(at)
    return EventStream(server.url, AGENT, now=clock.now, **({"idle": 2.0, "deadline": 10.0} | settings)), clock


def test_frames_are_the_same_wherever_the_pieces_are_cut() -> None:
    body = b': hello\n\nevent: message\nid: 7\ndata: {"a":\ndata: 1}\n\ndata\n\nid:8\r\ndata:x\r\n\r\ndata: unfinished'
    whole = [Frame("7", '{"a":\n1}'), Frame("7", ""), Frame("8", "x")]
    assert list(frames(iter([body]))) == whole
    for cut in range(len(body)):
        if body[cut - 1 : cut + 1] != b"\r\n":
            assert list(frames(iter([body[:cut], body[cut:]]))) == whole, cut


@pytest.mark.parametrize(
    ("more", "item"),
    [
        ({}, "Q42"),
        ({"type": "new"}, "Q42"),
        ({"type": "log", "log_type": "delete"}, "Q42"),
        ({"type": "categorize"}, None),
        ({"wiki": "enwiki"}, None),
        ({"namespace": 120, "title": "Property:P31"}, None),
        ({"title": "Wikidata:Project chat"}, None),
        ({"title": None}, None),
    ],
)
def test_what_is_about_an_item(more: dict[str, Any], item: str | None) -> None:
    assert changed_item(event(BEGIN, "Q42") | more, "wikidatawiki") == item


def test_it_tells_what_changed_and_reads_on_from_there() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 6)) as server:
        source, clock = stream(server, BEGIN + timedelta(seconds=30))
        assert source.changed_since(BEGIN) == {"Q1", "Q2", "Q3", "Q4"}
        clock.at = BEGIN + timedelta(seconds=50)
        assert source.changed_since(BEGIN + timedelta(seconds=20)) == {"Q3", "Q4", "Q5", "Q6"}
        assert [r.get("last-event-id") is not None for r in server.requests] == [False, True]
        assert server.requests[0]["since"] == "2026-03-01T12:00:00Z"
        assert server.requests[0]["user-agent"] == AGENT


def test_an_earlier_moment_than_it_remembers_is_asked_for_anew() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 6)) as server:
        source, _ = stream(server, BEGIN + timedelta(seconds=50))
        assert source.changed_since(BEGIN + timedelta(seconds=30)) == {"Q4", "Q5", "Q6"}
        assert source.changed_since(BEGIN) == {f"Q{n}" for n in range(1, 7)}


def test_a_line_that_breaks_every_few_events_loses_none() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 9), cut_after=3) as server:
        source, _ = stream(server, BEGIN + timedelta(seconds=80), attempts=5)
        assert source.changed_since(BEGIN) == {f"Q{n}" for n in range(1, 10)}
        assert len(server.requests) == 3


def test_canaries_and_doubles_do_no_harm() -> None:
    canary = event(BEGIN, "Q99") | {"meta": {"id": "c", "dt": BEGIN.isoformat(), "domain": "canary"}}
    told = [canary, *every_ten_seconds(BEGIN, 2), *every_ten_seconds(BEGIN, 2)]
    with StreamServer(told) as server:
        source, _ = stream(server, BEGIN + timedelta(seconds=10))
        assert source.changed_since(BEGIN) == {"Q1", "Q2"}


def test_a_moment_before_what_the_server_keeps_is_a_gap() -> None:
    """The service begins with its oldest event then, and does not say so."""
    events = every_ten_seconds(BEGIN, 60)
    with StreamServer(events, oldest=BEGIN + timedelta(minutes=5)) as server:
        source, _ = stream(server, BEGIN + timedelta(minutes=9))
        assert source.changed_since(BEGIN) is None
        assert len(server.requests) == 1
        recent = source.changed_since(BEGIN + timedelta(minutes=8))
        assert recent is not None and {"Q49", "Q55"} <= recent
        assert source.changed_since(BEGIN - timedelta(days=8)) is None


def test_a_gap_in_the_middle_is_one_too() -> None:
    events = [*every_ten_seconds(BEGIN, 3), event(BEGIN + timedelta(minutes=30), "Q9")]
    with StreamServer(events) as server:
        source, _ = stream(server, BEGIN + timedelta(minutes=30))
        assert source.changed_since(BEGIN) is None


Setting = Callable[[StreamServer], None]


@pytest.mark.parametrize(
    "fault",
    [
        {"silent": True},
        {"kind": "text/html"},
        {"garble": "{not JSON"},
        {"garble": "[1]"},
        {"garble": '{"meta": {"dt": "yesterday"}}'},
        {"cut_after": 0},
        {"refuse": 500},
    ],
)
def test_a_stream_that_can_not_be_relied_on_says_nothing(fault: dict[str, Any]) -> None:
    with StreamServer(every_ten_seconds(BEGIN, 3), **fault) as server:
        source, _ = stream(server, BEGIN + timedelta(seconds=20), idle=0.2, deadline=2.0, attempts=2)
        assert source.changed_since(BEGIN) is None


def test_a_stream_that_refuses_is_left_alone_as_long_as_it_asks() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 100), refuse=429) as server:
        source, clock = stream(server, BEGIN + timedelta(seconds=20))
        assert source.changed_since(BEGIN) is None
        server.refuse = None
        clock.at += timedelta(seconds=599)
        assert source.changed_since(BEGIN) is None
        assert len(server.requests) == 1
        clock.at += timedelta(seconds=1)
        assert source.changed_since(BEGIN) is not None


def test_no_server_at_all() -> None:
    with StreamServer() as server:
        source, _ = stream(server, BEGIN)
    assert source.changed_since(BEGIN) is None


def test_an_endless_event_is_given_up() -> None:
    with pytest.raises(Exception, match="without an end"):
        list(frames(b"data: " + b"x" * 2**20 for _ in range(8)))


@pytest.mark.skipif(not DATA.is_dir(), reason="the reference data ../shared/data/wikidata is not there")
def test_real_events_name_the_items_that_they_are_about() -> None:
    with gzip.open(DATA / "recentchange-events-2018.json.gz", "rt", encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines if line.strip()]
    named = [item for e in events if (item := changed_item(e, "wikidatawiki"))]
    titles = [e["title"] for e in events if e["wiki"] == "wikidatawiki" and e["namespace"] == 0]
    assert len(events) == 3818
    assert len(named) == len([t for t in titles if t.startswith("Q")]) > 100
    times = sorted(datetime.fromisoformat(e["meta"]["dt"]) for e in events)
    told = sorted(events, key=lambda e: e["meta"]["dt"])
    last = datetime.isoformat(times[-1])
    before = {item for e in told if e["meta"]["dt"] < last and (item := changed_item(e, "wikidatawiki"))}
    with StreamServer(told) as server:
        source, _ = stream(server, times[-1])
        found = source.changed_since(times[0])
    assert found is not None and before <= found <= set(named)
