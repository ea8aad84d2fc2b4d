"""A status page over the small world, with a cycle done and labels that somebody wrote to do harm; and a client for
it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kbsync.config import WebSettings, load_all
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.statement import ItemId, Labels
from kbsync.ledger.ledger import SqlLedger
from kbsync.web.app import make_app
from kbsync.web.backend import Backend
from tests.support.sqlite_ledger import empty_ledger
from tests.support.stage_world import LABELS, World, make_world
from tests.support.world_app import MAIN, app_of, write_configuration

TOKEN = "a token for these tests only"
PATHS = ("/", "/live", "/versions", "/versions/1", "/facts", "/facts/Q183/P6", "/quarantine", "/metrics", "/readyz")
"""The paths that demand the token if the page is not served on loopback."""
HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)> "\' \u202egnp.exe'


def make_backend(directory: Path, *, hostile: bool = False, main: str = MAIN) -> tuple[Backend, World]:
    """One cycle is done: version 1 holds two facts. ``hostile``: the labels of Germany and its chancellor hold
    ``HOSTILE``."""
    config = write_configuration(directory, main)
    world = make_world(SqlLedger(empty_ledger(directory / "state" / "ledger.sqlite3")))
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
        application=app_of(world),
        clock=world.clock,
        metrics=ProcessMetrics(),
        activity=Activity(world.clock),
    )
    return backend, world


@pytest.fixture
def backend_and_world(tmp_path: Path) -> Iterator[tuple[Backend, World]]:
    backend, world = make_backend(tmp_path)
    yield backend, world
    world.ledger.close()


@pytest.fixture
def backend(backend_and_world: tuple[Backend, World]) -> Backend:
    return backend_and_world[0]


def client(backend: Backend, base: str = "http://127.0.0.1", **web: object) -> TestClient:
    return TestClient(make_app(backend, WebSettings.model_validate(web)), base_url=base, follow_redirects=False)


def log_in(browser: TestClient) -> str:
    """The CSRF secret of a new session."""
    assert browser.post("/login", data={"token": TOKEN}).status_code == 303
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get("/versions").text)
    assert found
    return found.group(1)
