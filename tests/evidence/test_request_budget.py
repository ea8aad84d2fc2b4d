"""The expected number of requests is the number that a real client sends to a real server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.pull.pull import pull
from kbsync.stages.session import Run
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.evidence.request_budget import BATCH, pull_requests
from tests.support.oxigraph_server import OxigraphServer
from tests.support.stage_world import FixedClock, statement
from tests.support.turtle_world import turtle

AGENT = "kbsync-tests/1 (tests@example.org)"


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (7, 3), (9, 3), (10, 4), (5, 200)])
def test_first_pull_idle_pull_and_one_with_changes(
    count: int, batch: int, oxigraph: OxigraphServer, tmp_path: Path
) -> None:
    world, items = FakeSource(), [ItemId(f"Q{n}") for n in range(1, count + 1)]
    for number, item in enumerate(items):
        world.set_item(item, label=item, statements=[statement(item, "P36", f"Q{100 + number}")])
    for number in range(2 * count):
        world.set_item(f"Q{100 + number}", label="object")
    world.tick(timedelta(days=60))  # so the names are believed at once, and none has to be looked at again
    relation = Relation(
        name="capital", property=PropertyId("P36"), label="", phrasings=from_templates("{} is"), subjects=tuple(items)
    )
    schema.upgrade(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")

    def requests() -> int:
        oxigraph.replace(turtle(world))
        client = SparqlClient(oxigraph.endpoint, AGENT)
        run = Run(ledger=ledger, clock=FixedClock(world.now), work=Work(), actor="test")
        pull(run, WikidataSource(client, batch=batch), [relation])
        return client.requests

    assert requests() == pull_requests(watched=count, changed=count, new_objects=count, batch=batch)
    assert requests() == pull_requests(watched=count, changed=0, new_objects=0, batch=batch)
    changed = items[: (count + 1) // 2]
    world.tick()
    for number, item in enumerate(changed):
        world.set_item(item, label=item, statements=[statement(item, "P36", f"Q{100 + count + number}")])
    expected = pull_requests(watched=count, changed=len(changed), new_objects=len(changed), batch=batch)
    assert requests() == expected
    ledger.close()


def test_the_page_is_the_setting_that_is_the_default() -> None:
    from kbsync.config.settings import SourceSettings

    assert SourceSettings.model_fields["batch"].default == BATCH
