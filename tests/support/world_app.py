"""Configuration files for the small world of the stages, and an application whose outside is that world."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbsync.domain.phrasing import PLAIN
from kbsync.domain.relation import Relation
from kbsync.stages.session import writer
from tests.support.relation_words import phrasing_tables
from tests.support.stage_world import RELATIONS, World, WorldSite

MAIN = """
state_dir = "state"
[source]
user_agent = "kbsync tests (mailto:tests@kbsync.invalid)"
endpoint = "http://127.0.0.1:9/sparql"
attempts = 1
[model]
reference = "table"
[edit]
recipe = "table"
[log]
format = "json"
[[gate.thresholds]]
metric = "efficacy"
at_least = 0.9
[[gate.thresholds]]
metric = "specificity"
at_least = 0.9
"""


def write_configuration(directory: Path, main: str = MAIN, relations: Sequence[Relation] = RELATIONS) -> Path:
    """The world's relations and recipe as files, with ``main`` as the main file."""
    files = {"kbsync.toml": main, "recipes/table.toml": "layers = [1, 2]\n"}
    for relation in relations:
        lines = [
            f"property = {json.dumps(relation.property)}",
            f"label = {json.dumps(relation.label)}",
            f"cardinality = {json.dumps(relation.cardinality)}",
            f"subjects = {json.dumps(relation.subjects)}",
            phrasing_tables(relation),
        ]
        files[f"relations/{relation.name}.toml"] = "\n".join(lines) + "\n"
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory / "kbsync.toml"


def app_of(world: World) -> Any:
    """The application with the world's source, model, editor, store and clock in place of the real ones."""
    from kbsync.bootstrap import App

    class WorldApp(App):
        source = world.source
        base = world.base
        store = world.store
        frames = PLAIN
        fingerprint = world.base.fingerprint

        def __init__(self, configuration: Any, **more: Any) -> None:
            super().__init__(configuration, **more | {"clock": world.clock})
            self.held_out = ["some held out text"]

        @contextmanager
        def writer(self) -> Iterator[Any]:
            """A store in memory has no leftovers of killed writers to be cleaned."""
            with writer(self.run, self.settings.lease.ttl) as held, self.anchored():
                yield held

        @property
        def tuning(self) -> Any:
            return replace(WorldSite(world).tuning, shelf=self.recipes.shelf, budget=self.settings.tune.budget)

        def editor(self, *_: Any) -> Any:
            return world.editor

    return WorldApp
