"""A status page over the small world, with a cycle done and labels that somebody wrote to do harm."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kbsync.config import load_all
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.statement import ItemId, Labels
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.web.backend import Backend
from tests.support.stage_world import LABELS, World, make_world
from tests.support.world_app import MAIN, write_configuration

TOKEN = "a token for these tests only"
HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)> "\' \u202egnp.exe'


def make_backend(directory: Path, *, hostile: bool = False, main: str = MAIN) -> tuple[Backend, World]:
    """One cycle is done: version 1 holds two facts. ``hostile``: Germany and its chancellor carry ``HOSTILE``."""
    config = write_configuration(directory, main)
    url = f"sqlite:///{directory / 'state' / 'ledger.sqlite3'}"
    schema.upgrade(url)
    world = make_world(SqlLedger(url))
    assert world.sync().outcome == "promoted"
    world.pass_time(timedelta(hours=3))
    if hostile:
        with world.ledger.write() as tx:
            for item in ("Q183", "Q61053", "Q64"):
                tx.record_labels([Labels(item=ItemId(item), label=f"{LABELS[item]} {HOSTILE}", aliases=())])
    found = load_all(config)
    backend = Backend(
        configuration=lambda: found,
        ledger=world.ledger,
        store=lambda: world.store,
        clock=world.clock,
        metrics=ProcessMetrics(),
        activity=Activity(world.clock),
    )
    return backend, world
