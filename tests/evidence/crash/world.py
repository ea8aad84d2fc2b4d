"""Installations to be crashed: prepared once, copied for every try; both databases, before the first cycle and before
the second (when the world has changed)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import make_url

from kbsync.demo.changes import apply_changes
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.ledger import schema
from kbsync.model.load import LoadedModel, load
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.crash.process import finished, run_kbsync
from tests.support.installation import make_believer, write_site
from tests.support.postgres_server import Postgres, running

BACKENDS = ("sqlite", "postgresql")
STARTS = ("first cycle", "second cycle")
NOTIFIER = """
[release]
command = ["/bin/sh", "-c", "echo $KBSYNC_DELIVERY >> ../told.txt"]
"""


@dataclass
class World:
    """``site`` gives a fresh copy of a prepared installation; ``drop`` takes it away."""

    directory: Path
    loaded: LoadedModel
    postgres: Postgres | None

    def site(self, backend: str, start: str, name: str) -> Path:
        template, directory = self._template(backend, start), self.directory / "tries" / name
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(template, directory, symlinks=True)
        if self.postgres is not None and backend == "postgresql":
            old = _database(template)
            new = make_url(old).set(database=f"try_{name}".replace("-", "_")).render_as_string(hide_password=False)
            self.postgres.copy(old, new)
            config = directory / "kbsync.toml"
            config.write_text(config.read_text().replace(old, new))
        return directory / "kbsync.toml"

    def drop(self, config: Path) -> None:
        if self.postgres is not None and (url := _database(config.parent)):
            self.postgres.drop(url)
        shutil.rmtree(config.parent)

    def _template(self, backend: str, start: str) -> Path:
        return self.directory / f"{backend}-{start.partition(' ')[0]}"


def _database(directory: Path) -> str:
    """The URL in the configuration; empty for SQLite."""
    lines = (directory / "kbsync.toml").read_text().splitlines()
    return next((line.split('"')[1] for line in lines if line.startswith("database_url")), "")


@contextmanager
def prepared(
    directory: Path, backends: tuple[str, ...], say: Callable[[str], None], believer: Path | None = None
) -> Iterator[World]:
    """Train the model, start the servers, and make the installations; all of it goes at the end of the block."""
    with ExitStack() as stack:
        say("training the model")
        model = believer or make_believer(directory / "model")
        server = stack.enter_context(OxigraphServer())
        server.load(snapshot_turtle(datetime.now(UTC)))
        postgres = stack.enter_context(running()) if "postgresql" in backends else None
        loaded = load(str(model), cache_dir=directory / "cache", device="cpu")
        world = World(directory, loaded, postgres)
        for backend in backends:
            say(f"preparing {backend}")
            first = world._template(backend, "first cycle")
            url = postgres.database() if postgres is not None and backend == "postgresql" else None
            config = write_site(first, model, server.endpoint, url, quick=True)
            with config.open("a") as settings:
                settings.write(NOTIFIER)
            schema.upgrade(url or f"sqlite:///{first / 'state' / 'ledger.sqlite3'}")
            second = world.site(backend, "first cycle", f"{backend}-before")
            finished(partial(run_kbsync, second, loaded, "sync"), first.with_suffix(".log"))
            # What no fact changes is computed once: a try is about what is killed, not about covariances.
            for kind in ("covariance", "contexts"):
                if (second.parent / "state" / "artifacts" / kind).is_dir():
                    target = config.parent / "state" / "artifacts" / kind
                    shutil.copytree(second.parent / "state" / "artifacts" / kind, target)
            second.parent.rename(world._template(backend, "second cycle"))
        apply_changes(server, datetime.now(UTC))
        yield world
