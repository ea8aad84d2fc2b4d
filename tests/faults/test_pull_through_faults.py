"""Whatever fault whichever request meets, no row is lost or doubled, and the watermark is right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.domain.errors import SourceError
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Statement
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.pull.pull import pull
from kbsync.stages.session import Run
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.support.lying_proxy import FAULTS, LyingProxy
from tests.support.oxigraph_server import OxigraphServer
from tests.support.stage_world import FixedClock, statement
from tests.support.turtle_world import turtle

AGENT = "kbsync-tests/1 (tests@example.org)"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CAPITAL, HEAD = PropertyId("P36"), PropertyId("P6")
ITEMS = [f"Q{n}" for n in range(1, 8)]
RELATIONS = [
    Relation(
        name=name, property=prop, label=name, phrasings=from_templates("{} is"), subjects=tuple(map(ItemId, ITEMS))
    )
    for name, prop in (("capital", CAPITAL), ("head", HEAD))
]
REQUESTS = 8
"""Requests of a second pull without faults: time, shape, two pages of heads, two of records, two of names, those of
objects with their heads."""
FOREVER = timedelta(days=2)
EVERYWHERE = bool(os.environ.get("KBSYNC_TEST_EVERYWHERE"))
"""Whether every fault is tried at every request, once and lasting: 448 pulls, some minutes. Else at two requests."""


@dataclass
class Site:
    """A proxy in front of the changed world, a ledger that knows the world before the change, and both truths."""

    proxy: LyingProxy
    before: FakeSource
    after: FakeSource
    template: Path


def worlds() -> tuple[FakeSource, FakeSource]:
    """A world; and the same world after an edit, a new statement, a new rank, a deletion, a redirect and a new item."""
    long_ago = BEGIN - timedelta(days=60)  # so all names are believed at the first pull
    before, after = FakeSource(now=long_ago), FakeSource(now=long_ago)
    for world in (before, after):
        for number, item in enumerate(ITEMS[:6]):
            world.set_item(item, label=f"item {item}", statements=[statement(item, "P36", f"Q{100 + number}")])
        for number in range(12):
            world.set_item(f"Q{100 + number}", label=f"object {number}")
        world.now = BEGIN
    after.tick()
    after.set_item("Q1", label="item Q1", statements=[statement("Q1", "P36", "Q110")])
    after.set_item("Q2", label="Two", statements=[*after.items[ItemId("Q2")].statements, head("Q2", "Q111")])
    demoted = replace(after.items[ItemId("Q3")].statements[0], rank=Rank.DEPRECATED)
    after.set_item("Q3", label="item Q3", statements=[demoted])
    after.delete("Q4")
    after.redirect("Q5", "Q1")
    after.set_item("Q7", label="seven", statements=[head("Q7", "Q108"), statement("Q7", "P36", "Q109")])
    return before, after


def head(item: str, value: str) -> Statement:
    return statement(item, "P6", value, start="2020-07-03T00:00:00Z")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    before, after = worlds()
    template = tmp_path_factory.mktemp("ledger") / "before.sqlite3"
    schema.upgrade(f"sqlite:///{template}")
    with OxigraphServer() as server, LyingProxy(server.endpoint) as proxy:
        server.replace(turtle(before))
        ledger = SqlLedger(f"sqlite:///{template}")
        run_pull(ledger, proxy, FixedClock(BEGIN))
        assert live(ledger) == truth(before)
        ledger.close()
        server.replace(turtle(after))
        yield Site(proxy, before, after, template)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def run_pull(ledger: SqlLedger, proxy: LyingProxy, clock: FixedClock, *, patience: float = 10.0) -> None:
    def sleep(seconds: float) -> None:
        clock.time += timedelta(seconds=seconds)

    client = SparqlClient(
        proxy.endpoint,
        AGENT,
        timeout=patience,
        deadline=patience,
        attempts=2,
        max_wait=60,
        max_bytes=100_000,
        sleep=sleep,
        now=clock.now,
    )
    run = Run(ledger=ledger, clock=clock, work=Work(), actor="test")
    pull(run, WikidataSource(client, batch=4), RELATIONS)


def truth(world: FakeSource) -> dict[str, tuple[int, tuple[Statement, ...]]]:
    """Item → (revision, statements) of the items that are watched and there."""
    return {i: (world.items[ItemId(i)].revision, world.items[ItemId(i)].statements) for i in ITEMS if i in world.items}


def live(ledger: SqlLedger) -> dict[str, tuple[int, tuple[Statement, ...]]]:
    with ledger.read() as tx:
        heads = tx.heads([ItemId(i) for i in ITEMS])
        held = {p: tx.statements_of(p, list(heads)) for p in (CAPITAL, HEAD)}
        return {
            item: (h.revision, tuple(sorted((s for p in held for s in held[p].get(item, [])), key=lambda s: s.id)))
            for item, h in heads.items()
            if not h.deleted
        }


def changes(ledger: SqlLedger) -> list[tuple[str, bool, bool]]:
    """The whole history as (statement, was there before, is there after)."""
    with ledger.read() as tx:
        found = [c for i in ITEMS for p in (CAPITAL, HEAD) for c in tx.statement_history(ItemId(i), p)]
    return sorted((c.statement_id, c.before is not None, c.after is not None) for c in found)


def check_half_way(site: Site, ledger: SqlLedger) -> None:
    """Every item is as it was before or as it is after, never in between; the watermark is that of a whole pull."""
    before, after = truth(site.before), truth(site.after)
    rows = live(ledger)
    for item in ITEMS:
        assert rows.get(item) in (before.get(item), after.get(item)), item
    with ledger.read() as tx:
        mark = tx.watermark("wikidata")
    assert mark == site.before.now or (mark == site.after.now and rows == after)


@pytest.fixture(scope="module")
def expected(site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bool, bool]]:
    """The history that a pull without faults leaves."""
    path = tmp_path_factory.mktemp("ledger") / "after.sqlite3"
    shutil.copy(site.template, path)
    ledger = SqlLedger(f"sqlite:///{path}")
    site.proxy.behave()
    site.proxy.requests.clear()
    run_pull(ledger, site.proxy, FixedClock(BEGIN + timedelta(hours=2)))
    assert len(site.proxy.requests) == REQUESTS
    assert live(ledger) == truth(site.after)
    history = changes(ledger)
    ledger.close()
    assert len(history) == len(set(history)) == 6 + 8
    return history


@pytest.mark.parametrize("name", FAULTS)
def test_no_row_is_lost_or_doubled_whichever_request_meets_the_fault(
    name: str, site: Site, expected: list[tuple[str, bool, bool]], scratch: Path
) -> None:
    turn = list(FAULTS).index(name)
    everywhere = [(at, lasting) for at in range(REQUESTS) for lasting in (False, True)]
    for at, lasting in everywhere if EVERYWHERE else [(turn % REQUESTS, False), ((turn + 3) % REQUESTS, turn % 2 == 0)]:
        shutil.copy(site.template, scratch)
        ledger, clock = SqlLedger(f"sqlite:///{scratch}"), FixedClock(BEGIN + timedelta(hours=2))
        site.proxy.lie(FAULTS[name], at, lasting=lasting)
        try:
            run_pull(ledger, site.proxy, clock, patience=0.6 if name in ("slow drip", "silence") else 10.0)
        except SourceError as error:
            assert error.kept and error.next_step
        assert site.proxy.lied
        check_half_way(site, ledger)

        site.proxy.behave()
        clock.time += FOREVER
        run_pull(ledger, site.proxy, clock)
        assert live(ledger) == truth(site.after)
        assert changes(ledger) == expected
        with ledger.read() as tx:
            assert tx.watermark("wikidata") == site.after.now
        ledger.close()


def test_an_endpoint_that_falls_behind_is_waited_for(site: Site, scratch: Path) -> None:
    """A second server, restored from an older copy, answers in the first one's place."""
    shutil.copy(site.template, scratch)
    ledger, clock = SqlLedger(f"sqlite:///{scratch}"), FixedClock(BEGIN + timedelta(hours=2))
    site.proxy.behave()
    run_pull(ledger, site.proxy, clock)
    with OxigraphServer() as older, LyingProxy(older.endpoint) as proxy:
        older.replace(turtle(site.before))
        with pytest.raises(SourceError, match="already up to"):
            run_pull(ledger, proxy, clock)
    assert live(ledger) == truth(site.after)
    with ledger.read() as tx:
        assert tx.watermark("wikidata") == site.after.now
    ledger.close()


def test_stale_pages_from_a_cache_do_not_turn_the_clock_back(site: Site, scratch: Path) -> None:
    """The time is new, and the pages are of the day before: no item goes back."""
    shutil.copy(site.template, scratch)
    ledger, clock = SqlLedger(f"sqlite:///{scratch}"), FixedClock(BEGIN + timedelta(hours=2))
    site.proxy.behave()
    run_pull(ledger, site.proxy, clock)
    stale = FakeSource(now=site.after.now + timedelta(hours=1))
    stale.items = dict(site.before.items)
    with OxigraphServer() as cache, LyingProxy(cache.endpoint) as proxy:
        cache.replace(turtle(stale))
        run_pull(ledger, proxy, clock)
    rows = live(ledger)
    kept = ("Q1", "Q2", "Q3", "Q6")  # of the others, no revision says that the page is old
    assert {i: rows[i] for i in kept} == {i: truth(site.after)[i] for i in kept}
    ledger.close()
