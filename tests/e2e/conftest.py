"""The whole system on a small scale (``installation.py``), for tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbsync.demo.snapshot import snapshot_turtle
from kbsync.domain.relation import Relation
from kbsync.wikidata.local import OxigraphServer
from tests.support.installation import Site, make_believer, watched, write_site
from tests.support.postgres_server import shared


@pytest.fixture(scope="session")
def relations() -> tuple[Relation, ...]:
    return watched()


@pytest.fixture(scope="session")
def believer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_believer(tmp_path_factory.mktemp("believer"))


@pytest.fixture
def world() -> Iterator[OxigraphServer]:
    with OxigraphServer() as server:
        server.load(snapshot_turtle(datetime.now(UTC)))
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path, believer: Path, world: OxigraphServer) -> Site:
    """A configured installation with its ledger made."""
    database = shared().database() if request.param == "postgresql" else None
    installed = Site(write_site(tmp_path, believer, world.endpoint, database), world)
    installed.kbsync("db", "upgrade")
    return installed
