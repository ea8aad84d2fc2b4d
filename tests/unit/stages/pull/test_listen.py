"""A listener: what a source tells of by itself is pulled at once, asked for again until it is there, and never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError, Stopped
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId
from kbsync.ports import ItemEvent, StatementSource
from kbsync.stages.pull.listen import FRESH, GIVEN_UP, LONGEST_WAIT, NEXT_POLL, OVERLAP, Listener, Notice
from kbsync.stages.pull.pull import pull
from kbsync.stages.pull.watch import SUSPICIOUS_COUNT
from kbsync.stages.session import Run, puller
from tests.support.stage_world import CAPITAL, HEAD, TTL, World, statement

Step = ItemEvent | SourceDown | Callable[[], object] | None
SECOND = timedelta(seconds=1)


class Telling(StatementSource):
    """The world's source with a script of what it tells: events, silence, lost lines, and what happens meanwhile."""

    def __init__(self, world: World, lines: Sequence[Sequence[Step]]) -> None:
        self.name = world.source.name
        self._world, self._lines = world, list(lines)
        self.asked: list[datetime] = []

    def events(self, since: datetime) -> Iterator[ItemEvent | None]:
        self.asked.append(since)
        if not self._lines:
            raise Stopped("The script is at its end.")
        for step in self._lines.pop(0):
            if isinstance(step, SourceDown):
                raise step
            if step is None:
                self._world.pass_time(SECOND)
                yield None
            elif isinstance(step, ItemEvent):
                yield step
            else:
                step()
        raise Stopped("The script is at its end.")

    def server_time(self) -> datetime:
        return self._world.source.server_time()

    def subjects(self, relation: Relation) -> list[ItemId]:
        return self._world.source.subjects(relation)

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        return self._world.source.heads(items)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        return self._world.source.records(items, properties)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        return self._world.source.labels(items)


class Heard:
    """Runs a listener through scripts; ``notices`` is what it told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.notices: list[Notice] = []
        pull(world.run, world.source, world.relations)
        world.source.questions.clear()
        world.source.asked.clear()

    def listen(self, *lines: Sequence[Step]) -> Telling:
        source = Telling(self.world, lines)

        @contextmanager
        def pulling() -> Iterator[Run]:
            with puller(self.world.run, TTL) as run:
                yield run

        def sleep(seconds: float) -> None:
            self.world.pass_time(timedelta(seconds=seconds))

        listener = Listener(
            self.world.run, source, self.world.relations, pulling=pulling, sleep=sleep, report=self.notices.append
        )
        with pytest.raises(Stopped):
            listener.listen()
        return source

    def kinds(self, kind: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.kind == kind]

    def edit(self, item: str, value: str, prop: str = "P36") -> ItemEvent:
        """The item gets another value now; the event that tells of it."""
        self.world.set_statements(item, statement(item, prop, value), age=timedelta(0))
        head = self.world.source.items[ItemId(item)]
        return ItemEvent(ItemId(item), self.world.clock.time, head.revision)

    def live(self, item: str, prop: PropertyId = CAPITAL) -> list[str]:
        with self.world.ledger.read() as tx:
            return [s.value.text for s in tx.statements(ItemId(item), prop) if s.value]


@pytest.fixture
def heard(world: World) -> Heard:
    return Heard(world)


def wait(heard: Heard, seconds: float) -> list[Step]:
    return [None] * int(seconds)


def test_a_watched_items_event_is_pulled_at_once_and_nothing_else_is_asked(heard: Heard) -> None:
    heard.listen([heard.edit("Q38", "Q90"), None])
    assert heard.live("Q38") == ["Q90"]
    (notice,) = heard.kinds("heard")
    assert (notice.items, notice.delay) == (("Q38",), 0.0)
    assert notice.result is not None
    assert (notice.result.watched, notice.result.fetched, notice.result.observed) == (1, 1, 1)
    assert heard.world.source.asked == ["Q38"]
    assert heard.world.source.questions == {"server_time": 1, "heads": 1, "records": 1}


def test_watermarks_stay_where_the_last_whole_pull_left_them(heard: Heard) -> None:
    with heard.world.ledger.read() as tx:
        before = tx.watermark("fake"), tx.watermark("fake/P36")
    heard.listen([heard.edit("Q38", "Q90"), None])
    with heard.world.ledger.read() as tx:
        assert (tx.watermark("fake"), tx.watermark("fake/P36")) == before
        assert tx.audit()[-1].body["fetched"] == 1
        assert tx.audit()[-1].body["history"] == tx.history_head()


def test_unwatched_and_doubled_events_cost_nothing(heard: Heard) -> None:
    event = heard.edit("Q38", "Q90")
    heard.listen([ItemEvent(ItemId("Q90"), heard.world.clock.time, 5), event, *wait(heard, 5), event, *wait(heard, 5)])
    assert len(heard.kinds("heard")) == 1
    assert heard.world.source.questions["heads"] == 1


def test_several_events_within_the_pace_are_one_look(heard: Heard) -> None:
    events = [heard.edit("Q38", "Q90"), heard.edit("Q142", "Q64"), heard.edit("Q183", "Q220")]
    heard.listen([*events, *wait(heard, 3)])
    assert sorted(item for notice in heard.kinds("heard") for item in notice.items) == ["Q142", "Q183", "Q38"]
    assert heard.world.source.questions["heads"] == 2
    assert (heard.live("Q38"), heard.live("Q142"), heard.live("Q183")) == (["Q90"], ["Q64"], ["Q220"])


def lagging(world: World, lag: timedelta) -> None:
    """From now on the source is always so far behind."""
    real = world.pass_time

    def behind(span: timedelta) -> None:
        real(span)
        world.source.now = world.clock.time - lag

    world.pass_time = behind  # type: ignore[method-assign]
    behind(timedelta(0))


def test_an_endpoint_that_lags_is_asked_for_its_time_alone_and_again(heard: Heard) -> None:
    """Its clock says that it can't have the edit; so the item is not even asked for."""
    lag = timedelta(minutes=2)
    heard.world.pass_time(lag)
    pull(heard.world.run, heard.world.source, heard.world.relations)
    event = heard.edit("Q38", "Q90")
    heard.world.source.questions.clear()
    lagging(heard.world, lag)
    with heard.world.ledger.write() as tx:  # the last whole pull was answered by the same late server
        for mark in ("fake", "fake/P36", "fake/P6"):
            tx.set_watermark(mark, heard.world.clock.time - lag)
    heard.listen([event, *wait(heard, 180)])
    assert heard.live("Q38") == ["Q90"]
    (notice,) = heard.kinds("heard")
    assert notice.delay is not None
    assert lag.total_seconds() <= notice.delay <= (lag + LONGEST_WAIT * 1.5).total_seconds()
    waits = len(heard.kinds("waiting"))
    assert 5 <= waits <= 10
    assert heard.world.source.questions["server_time"] == waits + 1
    assert heard.world.source.questions["heads"] == 1


@pytest.mark.slow
def test_an_endpoint_that_claims_to_be_past_the_event_and_lacks_it_is_asked_again(heard: Heard) -> None:
    world = heard.world
    event = ItemEvent(ItemId("Q38"), world.clock.time, 5_000)

    def arrive() -> None:
        world.source.set_item("Q38", label="Italy", statements=[statement("Q38", "P36", "Q90")], revision=5_000)

    heard.listen([event, *wait(heard, 40), arrive, *wait(heard, 35)])
    assert heard.live("Q38") == ["Q90"]
    (notice,) = heard.kinds("heard")
    assert notice.delay is not None and 40 <= notice.delay <= 80
    assert 4 <= len(heard.kinds("waiting")) <= 7


def test_an_edit_in_between_does_not_pass_for_the_one_that_was_told(heard: Heard) -> None:
    """Revision 4,999 arrives first; the listener stays until 5,000 is there."""
    world = heard.world

    def arrive(revision: int, value: str) -> Callable[[], object]:
        held = [statement("Q38", "P36", value)]
        return lambda: world.source.set_item("Q38", label="Italy", statements=held, revision=revision)

    event = ItemEvent(ItemId("Q38"), world.clock.time, 5_000)
    heard.listen([arrive(4_999, "Q64"), event, None, arrive(5_000, "Q90"), *wait(heard, 10)])
    assert heard.live("Q38") == ["Q90"]
    assert len(heard.kinds("heard")) == 1


@pytest.mark.slow
def test_a_revision_that_never_shows_is_given_up_once_the_source_must_have_it(heard: Heard) -> None:
    event = ItemEvent(ItemId("Q38"), heard.world.clock.time, 5_000)
    heard.listen([event, *wait(heard, OVERLAP.total_seconds() + 100)])
    assert len(heard.kinds("heard")) == 1
    asked = heard.world.source.questions["heads"]
    assert OVERLAP / LONGEST_WAIT <= asked <= OVERLAP / LONGEST_WAIT * 2


def test_what_the_source_never_reaches_is_left_to_the_schedule_after_a_day(heard: Heard) -> None:
    future = ItemEvent(ItemId("Q38"), heard.world.clock.time + 3 * GIVEN_UP, 5_000)
    heard.listen([future, None, lambda: heard.world.pass_time(GIVEN_UP), None, *wait(heard, 60)])
    before = heard.world.source.questions["server_time"]
    assert before <= 3


def test_a_deletion_and_a_restoration_are_heard_of(heard: Heard) -> None:
    world = heard.world

    def event() -> ItemEvent:
        return ItemEvent(ItemId("Q38"), world.clock.time)

    heard.listen([lambda: world.source.delete("Q38"), event(), *wait(heard, 3)])
    assert heard.live("Q38") == []
    heard.listen([lambda: world.set_statements("Q38", statement("Q38", "P36", "Q90")), event(), *wait(heard, 3)])
    assert heard.live("Q38") == ["Q90"]
    assert len(heard.kinds("heard")) == 2


def test_a_merge_moves_the_fact_to_where_the_item_leads(heard: Heard) -> None:
    world = heard.world
    world.set_statements("Q567", statement("Q567", "P36", "Q90"))
    head = world.source.redirect("Q38", "Q567")
    heard.listen([ItemEvent(ItemId("Q38"), world.clock.time, head.revision), *wait(heard, 3)])
    with world.ledger.read() as tx:
        (fact,) = [r for r in tx.facts(CAPITAL) if r.key.subject == "Q38"]
    assert [v.text for v in fact.observed.values] == ["Q90"]
    # from now on the target's own events are the item's
    world.set_statements("Q567", statement("Q567", "P36", "Q64"), age=timedelta(0))
    told = ItemEvent(ItemId("Q567"), world.clock.time, world.source.items[ItemId("Q567")].revision)
    heard.listen([told, *wait(heard, 3)])
    with world.ledger.read() as tx:
        (fact,) = [r for r in tx.facts(CAPITAL) if r.key.subject == "Q38"]
    assert [v.text for v in fact.observed.values] == ["Q64"]


def test_of_two_watched_items_that_became_one_the_target_tells_the_fact(heard: Heard) -> None:
    world = heard.world
    head = world.source.redirect("Q38", "Q142")
    heard.listen([ItemEvent(ItemId("Q38"), world.clock.time, head.revision), *wait(heard, 3)])
    with world.ledger.read() as tx:
        facts = {r.key.subject: [v.text for v in r.observed.values] for r in tx.facts(CAPITAL)}
    assert facts == {"Q142": ["Q90"], "Q183": ["Q64"], "Q38": []}


def test_facts_of_other_items_are_left_alone(heard: Heard) -> None:
    world = heard.world
    world.clock.time += timedelta(days=1)
    with world.ledger.read() as tx:
        before = [r for r in tx.facts(HEAD) if r.key.subject != "Q142"]
    heard.listen([heard.edit("Q142", "Q30333", "P6"), *wait(heard, 3)])
    with world.ledger.read() as tx:
        assert [r for r in tx.facts(HEAD) if r.key.subject != "Q142"] == before
    assert heard.live("Q142", HEAD) == ["Q30333"]


def test_a_member_that_joined_a_moment_after_its_event_is_not_forgotten(heard: Heard) -> None:
    world = heard.world
    world.relations = (*world.relations, make_pattern())
    world.source.patterns["?item wdt:P31 wd:Q6256 ."] = [ItemId("Q586")]
    event = heard.edit("Q586", "Q90", "P17")

    def join() -> None:
        with world.ledger.write() as tx:
            tx.set_members(PropertyId("P17"), [ItemId("Q586")], world.clock.time)

    heard.listen([event, None, join, *wait(heard, 70)])
    assert heard.live("Q586", PropertyId("P17")) == ["Q90"]


def make_pattern() -> Relation:
    return Relation(
        name="country",
        property=PropertyId("P17"),
        label="country",
        phrasings=from_templates("{} is in"),
        subject_pattern="?item wdt:P31 wd:Q6256 .",
    )


def test_listening_begins_where_the_last_whole_pull_ended(heard: Heard) -> None:
    began = heard.world.clock.time
    source = heard.listen([ItemEvent(ItemId("Q90"), began, 1), *wait(heard, 100)])
    assert source.asked == [began - OVERLAP]
    assert heard.kinds("polled") == [], "everything since the last whole pull was told"


def test_after_a_long_absence_listening_begins_now_and_everything_is_polled_once(heard: Heard) -> None:
    heard.world.pass_time(FRESH)
    heard.edit("Q142", "Q64")
    now = heard.world.clock.time
    source = heard.listen([ItemEvent(ItemId("Q90"), now, 1), *wait(heard, 1300)])
    assert source.asked == [now]
    (notice,) = heard.kinds("polled")
    assert notice.result is not None and notice.result.fetched == 1
    assert heard.live("Q142") == ["Q64"]


def test_a_lost_line_is_made_up_for_by_one_poll_when_it_stands_again(heard: Heard) -> None:
    world = heard.world
    noise = ItemEvent(ItemId("Q90"), world.clock.time, 1)
    lost = SourceDown("a gap from 12:00 to 12:30")
    heard.listen([noise, lambda: heard.edit("Q38", "Q64"), lost], [noise, *wait(heard, 1300)])
    assert heard.live("Q38") == ["Q64"]
    assert [n.kind for n in heard.notices] == ["listening", "lost", "listening", "polled"]
    assert "a gap from" in heard.kinds("lost")[0].reason


def test_a_line_that_never_stands_costs_the_endpoint_nothing(heard: Heard) -> None:
    refused = SourceDown("status 503")
    source = heard.listen(*[[refused] for _ in range(12)])
    assert len(source.asked) == 13
    assert heard.world.source.questions == {}
    pauses = [(b - a).total_seconds() for a, b in zip(source.asked[1:], source.asked[2:], strict=False)]
    assert pauses[0] == 20 and pauses[-1] == 600
    assert pauses == sorted(pauses)


def test_an_endpoint_behind_the_beginning_is_polled_until_it_is_past(heard: Heard) -> None:
    world = heard.world
    world.pass_time(FRESH)
    lagging(world, NEXT_POLL)
    heard.listen([ItemEvent(ItemId("Q90"), world.clock.time, 1), *wait(heard, 2400)])
    assert len(heard.kinds("polled")) == 2


@pytest.mark.parametrize("failing", [1, 3])
def test_an_endpoint_that_is_down_is_asked_again(heard: Heard, failing: int) -> None:
    for _ in range(failing):
        heard.world.source.fail_next(SourceDown("no connection"))
    heard.listen([heard.edit("Q38", "Q90"), *wait(heard, 30)])
    assert heard.live("Q38") == ["Q90"]
    assert len(heard.kinds("waiting")) == failing
    assert len(heard.kinds("heard")) == 1


def test_a_busy_ledger_is_waited_for(heard: Heard) -> None:
    world = heard.world
    with world.ledger.write() as tx:
        lease = tx.acquire_lease("puller", "somebody", TTL, world.clock.time)

    def release() -> None:
        with world.ledger.write() as tx:
            tx.release_lease(lease)

    heard.listen([heard.edit("Q38", "Q90"), *wait(heard, 20), release, *wait(heard, 40)])
    assert heard.live("Q38") == ["Q90"]
    assert all("somebody holds the lease" in n.reason for n in heard.kinds("waiting"))


def test_an_endpoint_that_refuses_for_good_does_not_end_the_listening(heard: Heard) -> None:
    first, second = heard.edit("Q38", "Q90"), heard.edit("Q142", "Q64")
    heard.world.source.fail_next(SourceError("400"))
    heard.listen([first, *wait(heard, 5), second, *wait(heard, 5)])
    assert [n.items for n in heard.kinds("refused")] == [("Q38",)]
    assert (heard.live("Q38"), heard.live("Q142")) == (["Q220"], ["Q64"])


def test_many_deletions_at_once_are_left_to_the_pull_that_asks(heard: Heard) -> None:
    world = heard.world
    items = [ItemId(f"Q{n}") for n in range(2001, 2003 + SUSPICIOUS_COUNT)]
    world.relations = (*world.relations, make_pattern())
    world.source.patterns["?item wdt:P31 wd:Q6256 ."] = items
    for item in items:
        world.source.set_item(item, label=item, statements=[statement(item, "P17", "Q90")])
    pull(world.run, world.source, world.relations)
    for item in items:
        world.source.delete(item)
    events = [ItemEvent(item, world.clock.time) for item in items]
    heard.listen([*events, *wait(heard, 10)])  # the first at once, the others in one look
    assert heard.kinds("heard")[0].items == (items[0],)
    (refused,) = heard.kinds("refused")
    assert refused.items == tuple(items[1:])
    assert "--accept-deletions" in refused.reason
    assert all(heard.live(item, PropertyId("P17")) == ["Q90"] for item in items[1:])


def test_two_deletions_in_one_look_are_believed(heard: Heard) -> None:
    world = heard.world
    events = [ItemEvent(ItemId(item), world.clock.time) for item in ("Q142", "Q38")]
    for event in events:
        world.source.delete(event.item)
    heard.listen([events[0], None, events[0], events[1], *wait(heard, 10)])
    assert (heard.live("Q142"), heard.live("Q38")) == ([], [])


@pytest.mark.slow
def test_an_edited_item_that_the_source_does_not_know_is_left_as_it_was(heard: Heard) -> None:
    """The endpoint lost it, or is being loaded; the next whole pull judges that by all items."""
    world = heard.world
    event = heard.edit("Q38", "Q90")
    kept = world.source.items.pop(ItemId("Q38"))

    def back() -> None:
        world.source.items[ItemId("Q38")] = kept

    heard.listen([event, *wait(heard, 20)])
    assert heard.live("Q38") == ["Q220"]
    assert heard.kinds("heard") == []
    heard.listen([event, *wait(heard, 20), back, *wait(heard, 40)])
    assert heard.live("Q38") == ["Q90"]


def test_a_source_that_tells_nothing_by_itself_is_refused(world: World) -> None:
    held = puller(world.run, TTL)
    listener = Listener(world.run, world.source, world.relations, pulling=lambda: held, sleep=lambda _: None)
    with pytest.raises(SourceError, match="by itself"):
        listener.listen()
