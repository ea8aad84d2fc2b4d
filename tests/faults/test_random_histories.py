"""Random histories of a small world, with faults, against a model of the truth: the ledger ends equal to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbsync.domain.errors import SourceError
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, Value, ValueKind
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.pull.pull import pull, pull_items
from kbsync.stages.session import Run
from kbsync.testing.fake_source import FakeItem, FakeSource
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.support.lying_proxy import FAULTS, LyingProxy
from tests.support.oxigraph_server import OxigraphServer
from tests.support.stage_world import FixedClock
from tests.support.turtle_world import turtle

AGENT = "kbsync-tests/1 (tests@example.org)"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ITEMS = [ItemId(f"Q{n}") for n in range(1, 7)]
PROPERTIES = [PropertyId("P36"), PropertyId("P6")]
RELATIONS = [
    Relation(
        name=f"relation-{prop}",
        property=prop,
        label=prop,
        phrasings=from_templates("{} is"),
        cardinality=Cardinality.SET,
        subjects=tuple(ITEMS),
    )
    for prop in PROPERTIES
]
QUICK = [name for name in FAULTS if name not in ("slow drip", "silence")]
"""Faults after which the pull ends at once. Missing rows, which nothing shows, have a test that counts them."""
QUICK.remove("no rows where there were some")

Step = tuple[str, ItemId, PropertyId, int]
steps: st.SearchStrategy[Step] = st.tuples(
    st.sampled_from(["value", "value", "add", "remove", "rank", "label", "revert", "delete", "merge", "restore"]),
    st.sampled_from(ITEMS),
    st.sampled_from(PROPERTIES),
    st.integers(0, 5),
)
faults = st.none() | st.tuples(st.sampled_from(QUICK), st.integers(0, 7), st.booleans())


class Truth:
    """The world, all its earlier states, and what must follow from them by rules that are written here once more."""

    def __init__(self) -> None:
        self.world = FakeSource(now=BEGIN)
        self.past: dict[tuple[ItemId, int], tuple[Statement, ...]] = {}
        self.before: dict[ItemId, list[FakeItem]] = {item: [] for item in ITEMS}
        for number, item in enumerate(ITEMS):
            self._set(item, [made(item, PROPERTIES[0], number, 0)])
        for number in range(6):
            self.world.set_item(f"Q{100 + number}", label=f"object {number}")

    def take(self, step: Step) -> None:
        action, item, prop, number = step
        self.world.tick()
        known = self.world.items.get(item)
        held = list(known.statements) if known else []
        if action == "restore" or known is None or known.redirect_to:
            self._set(item, [made(item, prop, number, 0)])
        elif action == "delete":
            self.before[item].append(known)
            self.world.delete(item)
        elif action == "merge":
            target = ITEMS[number]
            if target != item:
                self.before[item].append(known)
                self.world.redirect(item, target)
        elif action == "revert":
            if self.before[item] and not self.before[item][-1].redirect_to:
                self._set(item, list(self.before[item][-1].statements))
        elif action == "label":
            self._set(item, held, label=f"name {number}")
        else:
            self._set(item, changed(held, action, item, prop, number))

    def _set(self, item: ItemId, held: list[Statement], label: str = "name") -> None:
        if item in self.world.items:
            self.before[item].append(self.world.items[item])
        head = self.world.set_item(item, label=label, statements=held)
        self.past[item, head.revision] = self.world.items[item].statements

    def answers(self, item: ItemId, prop: PropertyId) -> set[Value]:
        """The best-ranked values of the item that this one leads to; of several that lead to it, one has them."""
        ends = {i: self._end(i) for i in ITEMS}
        target = ends[item]
        sharing = [i for i in ITEMS if ends[i] == target]
        known = self.world.items.get(target)
        if known is None or item != (target if target in sharing else sharing[0]):
            return set()
        held = [s for s in known.statements if s.property == prop and s.rank is not Rank.DEPRECATED]
        best = [s for s in held if s.rank is Rank.PREFERRED] or held
        return {s.value for s in best if s.value}

    def _end(self, item: ItemId) -> ItemId:
        path = [item]
        while (known := self.world.items.get(path[-1])) and known.redirect_to and known.redirect_to not in path:
            path.append(known.redirect_to)
        return path[-1]


def made(item: ItemId, prop: PropertyId, number: int, slot: int) -> Statement:
    return Statement(
        id=f"{item}${prop}-{slot}",
        subject=item,
        property=prop,
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, f"Q{100 + number}"),
        rank=Rank.NORMAL,
        references=1,
    )


def changed(held: list[Statement], action: str, item: ItemId, prop: PropertyId, number: int) -> list[Statement]:
    mine = [s for s in held if s.property == prop]
    rest = [s for s in held if s.property != prop]
    if action == "add" or not mine:
        slot = number % 3
        return [*rest, *(s for s in mine if not s.id.endswith(f"-{slot}")), made(item, prop, number, slot)]
    if action == "remove":
        return rest + mine[1:]
    if action == "rank":
        return [*rest, replace(mine[0], rank=list(Rank)[number % 3]), *mine[1:]]
    snak = Snak.NOVALUE if number == 5 else Snak.VALUE
    value = None if number == 5 else Value(ValueKind.ITEM, f"Q{100 + number}")
    return [*rest, replace(mine[0], snak=snak, value=value), *mine[1:]]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[OxigraphServer, LyingProxy]]:
    with OxigraphServer() as server, LyingProxy(server.endpoint) as proxy:
        yield server, proxy


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "empty.sqlite3"
    schema.upgrade(f"sqlite:///{path}")
    return path


def pull_once(ledger: SqlLedger, proxy: LyingProxy, clock: FixedClock, *, accept: bool = False) -> None:
    def sleep(seconds: float) -> None:
        clock.time += timedelta(seconds=seconds)

    client = SparqlClient(proxy.endpoint, AGENT, attempts=2, max_bytes=100_000, sleep=sleep, now=clock.now)
    run = Run(ledger=ledger, clock=clock, work=Work(), actor="test")
    pull(run, WikidataSource(client, batch=3), RELATIONS, accept_deletions=accept)


def pull_heard(ledger: SqlLedger, proxy: LyingProxy, clock: FixedClock, items: set[ItemId]) -> None:
    """Pull these items as a listener does that heard of them."""
    source = WikidataSource(SparqlClient(proxy.endpoint, AGENT, attempts=1, sleep=lambda _: None), batch=3)
    run = Run(ledger=ledger, clock=clock, work=Work(), actor="test")
    pull_items(run, source, RELATIONS, sorted(items), source.server_time())


def statements(ledger: SqlLedger) -> dict[ItemId, tuple[int, bool, tuple[Statement, ...]]]:
    """Item → (revision, whether it is there itself, statements)."""
    with ledger.read() as tx:
        heads = tx.heads(ITEMS)
        held = [tx.statements_of(p, ITEMS) for p in PROPERTIES]
        return {
            item: (
                head.revision,
                not head.deleted and head.redirect_to is None,
                tuple(sorted((s for group in held for s in group.get(item, [])), key=lambda s: s.id)),
            )
            for item, head in heads.items()
        }


def replayed(ledger: SqlLedger) -> dict[str, Statement]:
    """Check the whole history: every row starts from what the row before it left."""
    with ledger.read() as tx:
        rows = sorted((c for i in ITEMS for p in PROPERTIES for c in tx.statement_history(i, p)), key=lambda c: c.seq)
    state: dict[str, Statement] = {}
    for change in rows:
        assert state.pop(change.statement_id, None) == change.before
        if change.after is not None:
            state[change.statement_id] = change.after
    return state


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.lists(steps, min_size=1, max_size=3), faults), min_size=1, max_size=5))
def test_the_ledger_ends_equal_to_the_truth(
    history: list[tuple[list[Step], tuple[str, int, bool] | None]],
    endpoint: tuple[OxigraphServer, LyingProxy],
    empty: Path,
    tmp_path: Path,
) -> None:
    server, proxy = endpoint
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(empty, path)
    ledger, clock, truth = SqlLedger(f"sqlite:///{path}"), FixedClock(BEGIN), Truth()
    for taken, fault in [([], None), *history]:
        for step in taken:
            truth.take(step)
        server.replace(turtle(truth.world))
        clock.time = max(clock.time, truth.world.now) + timedelta(hours=1)
        proxy.behave()
        if fault is not None:
            proxy.lie(FAULTS[fault[0]], fault[1], lasting=fault[2])
        with suppress(SourceError):
            pull_once(ledger, proxy, clock)
        for item, (revision, there, held) in statements(ledger).items():
            assert held == (truth.past[item, revision] if there else ())

    proxy.behave()
    for _ in range(2):
        clock.time += timedelta(days=30)
        truth.world.now += timedelta(days=30)
        server.replace(turtle(truth.world))
        pull_once(ledger, proxy, clock, accept=True)
    rows = statements(ledger)
    for item in ITEMS:
        known = truth.world.items.get(item)
        assert rows[item][2] == (known.statements if known else ())
        assert known is None or rows[item][0] == known.revision
    assert replayed(ledger) == {s.id: s for _, _, held in rows.values() for s in held}
    with ledger.read() as tx:
        assert tx.watermark("wikidata") == truth.world.now
        for item in ITEMS:
            for prop in PROPERTIES:
                record = tx.fact(FactKey(item, prop))
                assert record is not None
                assert set(record.observed.values) == truth.answers(item, prop)
                # SPARQL dates no deletion, so it waits for a person.
                deleted = any(revision == 0 for _, revision in record.observed.origin)
                assert deleted or not record.pending
    ledger.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.lists(steps, min_size=1, max_size=3), faults), min_size=1, max_size=6))
def test_a_ledger_that_only_hears_of_what_changes_is_equal_to_the_truth_at_each_moment(
    history: list[tuple[list[Step], tuple[str, int, bool] | None]],
    endpoint: tuple[OxigraphServer, LyingProxy],
    empty: Path,
    tmp_path: Path,
) -> None:
    """First one whole pull; then the items of each step alone, and after a fault again, together with the next ones."""
    server, proxy = endpoint
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(empty, path)
    ledger, clock, truth = SqlLedger(f"sqlite:///{path}"), FixedClock(BEGIN), Truth()
    server.replace(turtle(truth.world))
    proxy.behave()
    pull_once(ledger, proxy, clock)
    for taken, fault in history:
        wanted = {item for _, item, _, _ in taken}
        for step in taken:
            truth.take(step)
        server.replace(turtle(truth.world))
        clock.time = truth.world.now + timedelta(hours=1)
        if fault is not None:
            proxy.lie(FAULTS[fault[0]], fault[1], lasting=fault[2])
            with suppress(SourceError):
                pull_heard(ledger, proxy, clock, wanted)
            proxy.behave()
        pull_heard(ledger, proxy, clock, wanted)
        with ledger.read() as tx:
            assert tx.watermark("wikidata") == BEGIN
            for item in ITEMS:
                for prop in PROPERTIES:
                    record = tx.fact(FactKey(item, prop))
                    assert record is not None
                    assert set(record.observed.values) == truth.answers(item, prop), (item, prop)
        for item, (revision, there, held) in statements(ledger).items():
            assert held == (truth.past[item, revision] if there else ())
    assert replayed(ledger) == {s.id: s for _, _, held in statements(ledger).values() for s in held}
    ledger.close()
