"""A source with a stream beside it: the endpoint answers, and the stream reports."""

from __future__ import annotations

from datetime import UTC, datetime

from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ports import ItemEvent
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.events import EventStream
from kbsync.wikidata.streamed import StreamedSource
from tests.support.sse_server import StreamServer, event

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
P35 = PropertyId("P35")


def test_the_endpoint_answers_and_the_stream_reports() -> None:
    world = FakeSource(now=BEGIN)
    world.set_item("Q1", label="one")
    with StreamServer([event(BEGIN, "Q1", revision=77)]) as server:
        stream = EventStream(server.url, "kbsync-tests/1 (tests@example.org)", idle=2.0, now=lambda: BEGIN)
        source = StreamedSource(world, stream)
        items = [ItemId("Q1"), ItemId("Q2")]
        relation = Relation(
            name="head", property=P35, label="head", phrasings=from_templates("{} is"), subjects=(ItemId("Q1"),)
        )
        assert source.name == world.name
        assert source.server_time() == BEGIN
        assert source.subjects(relation) == world.subjects(relation) == [ItemId("Q1")]
        assert list(source.heads(items)) == list(world.heads(items))
        assert list(source.records(items, [P35])) == list(world.records(items, [P35]))
        assert list(source.labels(items)) == list(world.labels(items))
        assert next(e for e in source.events(BEGIN) if e) == ItemEvent(ItemId("Q1"), BEGIN, 77)
        assert world.events(BEGIN) is None, "by itself it reports nothing"
