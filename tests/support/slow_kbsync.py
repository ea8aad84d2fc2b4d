"""``kbsync`` over the small world, with a source that takes its time: for tests that send signals to a real process.

Usage: slow_kbsync.py CONFIG MARKER VERB...; MARKER is made when the source is asked for revisions. SECONDS_AN_ITEM in
the environment sets how long the source takes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import kbsync.bootstrap
from kbsync.domain.statement import ItemHead, ItemId
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.fake_source import FakeSource
from tests.support.stage_world import make_world
from tests.support.world_app import app_of

SECONDS_AN_ITEM = float(os.environ.get("SECONDS_AN_ITEM", "1"))


class SlowSource(FakeSource):
    marker: Path

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        self.marker.touch()
        for head in super().heads(items):
            time.sleep(SECONDS_AN_ITEM)
            yield head


def main() -> None:
    config, marker, *verb = sys.argv[1:]
    url = f"sqlite:///{Path(config).parent / 'state' / 'ledger.sqlite3'}"
    schema.upgrade(url)
    ledger = SqlLedger(url)
    world = make_world(ledger)
    slow = SlowSource(now=world.source.now)
    slow.items, slow.marker = world.source.items, Path(marker)
    world.source = slow
    kbsync.bootstrap.App = app_of(world)  # type: ignore[misc]
    sys.argv[1:] = ["--config", config, *verb]

    from kbsync.cli.main import run

    run()


if __name__ == "__main__":
    main()
