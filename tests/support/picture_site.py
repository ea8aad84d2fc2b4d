"""A site whose base is a text-to-image pipeline: made-up countries and their flags on a real SPARQL server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kbsync.bootstrap import App
from kbsync.config import load_all
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.local import OxigraphServer
from tests.support.turtle_world import turtle

FLAG = PropertyId("P163")
"""Wikidata's "flag": the value is an item."""
_COUNTRY, _FLAG = 1000, 5000

SETTINGS = """
state_dir = "state"
[source]
endpoint = "{endpoint}"
user_agent = "kbsync tests (https://localhost)"
[model]
reference = "not-asked"
[edit]
recipe = "not-used"
"""
RELATION = """
property = "P163"
label = "flag"
answer = "item"
cardinality = "latest"
subjects = {subjects}
[phrasings.edit]
statement = ["The flag of {{}} is the"]
[trust]
settle = "0s"
trust = "0s"
min_references = 0
"""


class FlagWorld:
    """What the SPARQL server knows: which flag each country has, and which it had."""

    def __init__(self, flags: Mapping[str, str]) -> None:
        """``flags``: by country, what its flag is called."""
        self.source = FakeSource(now=datetime.now(UTC) - timedelta(days=400))
        self.countries = {name: ItemId(f"Q{_COUNTRY + n}") for n, name in enumerate(flags)}
        self._flags: dict[str, ItemId] = {}
        self._statements: dict[str, tuple[Statement, ...]] = {}
        for name, flag in flags.items():
            self.fly(name, flag, 1990)

    def fly(self, country: str, flag: str, year: int) -> None:
        """From ``year`` on the country has this flag; the one before ends."""
        item, at = self.countries[country], TimePoint(f"+{year}-01-01T00:00:00Z", 9)
        if flag not in self._flags:
            self._flags[flag] = ItemId(f"Q{_FLAG + len(self._flags)}")
            self.source.set_item(self._flags[flag], label=flag)
        before = [replace(s, end=s.end or at) for s in self._statements.get(country, ())]
        new = Statement(
            id=f"{item}$00000000-0000-4000-8000-{year:012d}",
            subject=item,
            property=FLAG,
            snak=Snak.VALUE,
            value=Value(ValueKind.ITEM, self._flags[flag]),
            rank=Rank.NORMAL,
            start=at,
            end=None,
            references=2,
        )
        self._statements[country] = (*before, new)
        self.source.set_item(item, label=country, statements=self._statements[country])


def write_picture_site(directory: Path, world: FlagWorld, endpoint: str) -> Path:
    """Configuration and relation; returns the configuration file."""
    for folder in ("relations", "recipes"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    subjects = json.dumps(sorted(world.countries.values()))
    (directory / "relations" / "flag.toml").write_text(RELATION.format(subjects=subjects))
    (directory / "recipes" / "not-used.toml").write_text("layers = [0]\n")
    (directory / "kbsync.toml").write_text(SETTINGS.format(endpoint=endpoint))
    return directory / "kbsync.toml"


@contextmanager
def picture_site(directory: Path, world: FlagWorld, endpoint: str) -> Iterator[App]:
    """The site with its ledger, before its first pull."""
    from kbsync.ledger.schema import upgrade

    configuration = load_all(write_picture_site(directory, world, endpoint))
    upgrade(configuration.settings.database_url.get_secret_value())
    app = App(configuration, actor="test")
    try:
        yield app
    finally:
        app.close()


def pull(app: App, world: FlagWorld, server: OxigraphServer) -> None:
    """Let the server know the world as it is now, and pull it."""
    world.source.tick()
    server.update("DROP ALL")
    server.load(turtle(world.source))
    with app.puller() as run:
        app.stages.pull(run)
