"""The event stream over real HTTP: what it reports, where it resumes, and when it can't be relied on."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from kbsync.domain.errors import SourceDown
from kbsync.domain.statement import ItemId
from kbsync.ports import ItemEvent
from kbsync.wikidata import events
from kbsync.wikidata.agent import user_agent
from kbsync.wikidata.event_frames import frames
from kbsync.wikidata.events import EventStream, changed_item, revision
from tests.support.sse_server import StreamServer, event, every_ten_seconds
from tests.support.stage_world import FixedClock
from tests.support.wikidata_payloads import needs_real, recent_changes, sample

AGENT = "kbsync-tests/1 (tests@example.org)"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def heard(source: EventStream, since: datetime, *, until: str, beats: int = 200) -> list[str]:
    """The items that are reported, up to the first event about ``until``. Raises as the stream does."""
    found = list[str]()
    for told in source.events(since):
        beats -= told is None
        assert beats, f"no event about {until}, only {found}"
        if told is not None:
            found.append(told.item)
            if told.item == until:
                break
    return found


def stream(server: StreamServer, at: datetime = BEGIN, **settings: Any) -> tuple[EventStream, FixedClock]:
    clock = FixedClock(at)
    chosen: dict[str, Any] = {"idle": 2.0, "now": clock.now, "sleep": lambda _: None} | settings
    return EventStream(server.url, AGENT, **chosen), clock


def test_frames_are_the_same_wherever_the_pieces_are_cut() -> None:
    body = b': hello\n\nevent: message\nid: 7\ndata: {"a":\ndata: 1}\n\ndata\n\nid:8\r\ndata:x\r\n\r\ndata: unfinished'
    whole = [("7", '{"a":\n1}'), ("8", "x")]
    assert [(frame.id, frame.data) for frame in frames([body])] == whole
    for cut in range(len(body)):
        assert [(frame.id, frame.data) for frame in frames([body[:cut], body[cut:]])] == whole, cut


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


def test_what_an_event_says_of_its_item() -> None:
    told = [
        event(BEGIN, "Q1", revision=77),
        event(BEGIN, "Q2", number=1) | {"type": "log", "log_type": "delete", "revision": None},
        event(BEGIN, "Q3", number=2) | {"type": "log", "revision": {"new": "many"}},
    ]
    with StreamServer(told) as server:
        source, _ = stream(server)
        found = list(islice((told for told in source.events(BEGIN) if told), 3))
        assert found == [
            ItemEvent(ItemId("Q1"), BEGIN, 77),
            ItemEvent(ItemId("Q2"), BEGIN),
            ItemEvent(ItemId("Q3"), BEGIN),
        ]
        assert server.requests[0]["since"] == "2026-03-01T12:00:00Z"
        assert server.requests[0]["user-agent"] == user_agent(AGENT)


def test_it_tells_what_happens_while_it_is_read() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 1)) as server:
        source, _ = stream(server)
        found = []
        for number, told in enumerate(source.events(BEGIN)):
            found += [told.item] if told else []
            if number == 0:
                server.push(event(BEGIN + timedelta(seconds=5), "Q7", number=1))
            if "Q7" in found:
                break
        assert found == ["Q1", "Q7"]
        assert len(server.requests) == 1


@pytest.mark.slow
def test_between_events_the_reader_gets_the_word() -> None:
    with StreamServer() as server:
        source, _ = stream(server, idle=5.0)
        assert list(islice(source.events(BEGIN), 2)) == [None, None]


def test_other_wikis_edits_do_not_keep_the_reader_from_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BEAT", 0.0)
    noise = [event(BEGIN, f"Q{n}", number=n) | {"wiki": "enwiki"} for n in range(50)]
    with StreamServer(noise) as server:
        source, _ = stream(server)
        assert next(iter(source.events(BEGIN))) is None


def test_a_line_that_breaks_every_few_events_loses_and_doubles_none() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 9), cut_after=3) as server:
        source, _ = stream(server)
        assert heard(source, BEGIN, until="Q9") == [f"Q{n}" for n in range(1, 10)]
        assert [r.get("last-event-id", "")[-3:] for r in server.requests] == ["", "2}]", "5}]"]


@pytest.mark.slow
def test_a_line_that_the_server_ends_by_design_is_taken_up_again() -> None:
    """As the public service does every quarter of an hour; here every fifth of a second."""
    with StreamServer(every_ten_seconds(BEGIN, 2), line_seconds=0.2) as server:
        source, _ = stream(server)
        found = []
        for told in source.events(BEGIN):
            found += [told.item] if told else []
            if len(server.requests) == 3 and len(server.events) == 2:
                server.push(event(BEGIN + timedelta(seconds=70), "Q3", number=2))
            if "Q3" in found:
                break
        assert found == ["Q1", "Q2", "Q3"]
        assert len(server.requests) >= 3
        assert all("last-event-id" in r for r in server.requests[1:])


def test_canaries_and_doubles_are_not_told() -> None:
    canary = event(BEGIN, "Q99") | {"meta": {"id": "c", "dt": BEGIN.isoformat(), "domain": "canary"}}
    told = [canary, *every_ten_seconds(BEGIN, 2), *every_ten_seconds(BEGIN, 2), event(BEGIN, "Q5", number=9)]
    with StreamServer(told) as server:
        source, _ = stream(server)
        assert heard(source, BEGIN, until="Q5") == ["Q1", "Q2", "Q5"]


def test_a_moment_before_what_the_server_keeps_is_a_gap() -> None:
    """The service begins with its oldest event then, and does not say so."""
    with StreamServer(every_ten_seconds(BEGIN, 60), oldest=BEGIN + timedelta(minutes=5)) as server:
        source, _ = stream(server, BEGIN + timedelta(minutes=9))
        with pytest.raises(SourceDown, match="a gap from 2026-03-01 12:00:00"):
            heard(source, BEGIN, until="Q60")
        assert len(server.requests) == 1
        assert heard(source, BEGIN + timedelta(minutes=8), until="Q55") == [f"Q{n}" for n in range(49, 56)]
        with pytest.raises(SourceDown, match="does not reach back"):
            heard(source, BEGIN - timedelta(days=8), until="Q1")


def test_a_gap_in_the_middle_is_one_too() -> None:
    with StreamServer([*every_ten_seconds(BEGIN, 3), event(BEGIN + timedelta(minutes=30), "Q9")]) as server:
        source, _ = stream(server)
        with pytest.raises(SourceDown, match="a gap"):
            heard(source, BEGIN, until="Q9")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"silent": True}, "the line broke .ReadTimeout., 2 times in a row"),
        ({"kind": "text/html"}, "text/html instead of a stream"),
        ({"garble": "{not JSON"}, "not JSON"),
        ({"garble": "[1]"}, "no object"),
        ({"garble": '{"meta": {"dt": "yesterday"}}'}, "without a time"),
        ({"cut_after": 0}, "the line ended, 2 times"),
        ({"refuse": 500}, "status 500"),
        ({"line_seconds": 0.0}, "the line ended, 2 times"),
    ],
)
def test_a_stream_that_can_not_be_relied_on_says_so(fault: dict[str, Any], reason: str) -> None:
    with StreamServer(every_ten_seconds(BEGIN, 3), **fault) as server:
        source, _ = stream(server, idle=0.2, attempts=2)
        with pytest.raises(SourceDown, match=reason):
            heard(source, BEGIN, until="Q99")


def test_a_stream_that_refuses_is_left_alone_as_long_as_it_asks() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 100), refuse=429) as server:
        source, clock = stream(server)
        with pytest.raises(SourceDown, match="status 429"):
            heard(source, BEGIN, until="Q1")
        server.refuse = None
        clock.time += timedelta(seconds=599)
        with pytest.raises(SourceDown, match="12:10:00 UTC"):
            heard(source, BEGIN, until="Q1")
        assert len(server.requests) == 1
        clock.time += timedelta(seconds=1)
        assert heard(source, BEGIN, until="Q1") == ["Q1"]


def test_no_server_at_all() -> None:
    with StreamServer() as server:
        source, _ = stream(server, attempts=2)
    with pytest.raises(SourceDown, match="no connection"):
        heard(source, BEGIN, until="Q1")


@pytest.mark.slow
def test_a_reader_that_is_given_up_ends_its_thread() -> None:
    with StreamServer(every_ten_seconds(BEGIN, 3)) as server:
        source, _ = stream(server, idle=0.3)
        assert heard(source, BEGIN, until="Q2") == ["Q1", "Q2"]
        give_up = time.monotonic() + 5
        while any(thread.name == "event-stream" for thread in threading.enumerate()):
            assert time.monotonic() < give_up
            time.sleep(0.02)


def test_an_endless_event_is_given_up() -> None:
    with pytest.raises(Exception, match="without an end"):
        list(frames(b"data: " + b"x" * 2**20 for _ in range(8)))


def told_of(events: list[dict[str, Any]]) -> list[str]:
    """The items that a stream of these events, in the order of their times, reports."""
    told = sorted(events, key=lambda e: str(e["meta"]["dt"]))
    begin, end = (datetime.fromisoformat(told[n]["meta"]["dt"]) for n in (0, -1))
    with StreamServer([*told, event(end, "Q999999999")]) as server:
        source, _ = stream(server, begin)
        return heard(source, begin, until="Q999999999")[:-1]


def test_published_events_name_the_items_that_they_are_about() -> None:
    published = [json.loads(line) for line in sample("recentchange.jsonl").splitlines()]
    assert told_of(published) == ["Q64", "Q90", "Q99000001", "Q99000008", "Q64"]
    edits = [e for e in published if changed_item(e, "wikidatawiki")]
    assert [revision(e) for e in edits] == [6001, 6002, 6004, 0, 6010]


@pytest.mark.slow
@needs_real
def test_real_events_name_the_items_that_they_are_about() -> None:
    published = recent_changes()
    named = [item for e in published if (item := changed_item(e, "wikidatawiki"))]
    titles = [e["title"] for e in published if e["wiki"] == "wikidatawiki" and e["namespace"] == 0]
    assert len(published) == 3818
    assert len(named) == len([t for t in titles if t.startswith("Q")]) > 100
    assert Counter(told_of(published)) == Counter(named)


@needs_real
def test_real_edits_name_the_revision_that_they_led_to() -> None:
    edits = [e for e in recent_changes() if changed_item(e, "wikidatawiki") and e["type"] in ("edit", "new")]
    assert len(edits) > 100
    assert [revision(e) for e in edits] == [e["revision"]["new"] for e in edits]
    assert all(revision(e) > 0 for e in edits)


@pytest.mark.parametrize(
    ("namespace", "title", "item"),
    [
        (120, "Item:Q5", "Q5"),
        (860, "Gegenstand:Q5", "Q5"),  # in the wiki's language
        (0, "Q5", "Q5"),
        (121, "Item talk:Q5", None),
        (120, "Item:P5", None),
        (122, "Property:Q5", None),
        (2, "User:Q5", None),
        (828, "Module:Q5", None),
        (0, "Item:Q5", None),
        ("120", "Item:Q5", None),
    ],
)
def test_in_another_wikibase_items_have_a_namespace_of_their_own(namespace: Any, title: str, item: str | None) -> None:
    told = event(BEGIN, title) | {"wiki": "my_wiki", "namespace": namespace}
    assert changed_item(told, "my_wiki") == item
    on_wikidata = told | {"wiki": "wikidatawiki"}
    assert changed_item(on_wikidata, "wikidatawiki") == (item if namespace == 0 else None)


@pytest.mark.hardening
def test_names_of_events_that_are_too_long_are_not_remembered() -> None:
    position = events._Position(BEGIN)
    assert not position.is_repeated("x" * 1_000_000) and not position.is_repeated("x" * 1_000_000)
    assert not position.is_repeated("short") and position.is_repeated("short")
    assert list(position.known) == ["short"]
