"""Every command keeps to the contract: ``--json`` prints exactly the documented fields, and ``--dry-run`` changes
nothing."""

from __future__ import annotations

import dataclasses
import importlib
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from docs.generate.cli_reference import takes
from kbsync.cli.command import Verb
from kbsync.cli.main import VERBS
from kbsync.ledger import tables
from kbsync.ledger.engine import reading
from tests.support.cli import Cli

ARGUMENTS: Mapping[str, str] = {
    "audit accept": "audit accept --reason x",
    "lease break": "lease break writer --reason x",
    "promote": "promote 1",
    "report": "report 1",
    "explain": "explain Q142 P6",
    "ask": "ask The-capital-of-France-is",
    "diff": "diff 0 1",
    "blame": "blame 1",
    "export": "export 1 exported",
    "rebuild": "rebuild 1 --repair",
    "release": "release Q142 P6 --reason checked",
    "fact approve": "fact approve Q142 P6",
    "fact pin": "fact pin Q142 P6",
    "fact exclude": "fact exclude Q142 P6",
    "fact clear": "fact clear Q142 P6",
    "db backup": "db backup copy.bak",
    "db restore": "db restore kept.bak",
}
NEEDS_A_REAL_SITE = {
    *("gc", "export", "rebuild", "verify", "stats build", "recipe tune", "trace", "trace relations", "check-served"),
    *("images sync", "images draw"),
}
"""Tried with a real model, or with a server, in their own tests."""
MEASUREMENTS = {v.name for v in VERBS if v.name.startswith("bench ")}
"""They write one file and have no ``--dry-run``; tried in ``research/``."""
RUNS_UNTIL_STOPPED = {"serve", "switch"}
"""Tried in tests of their own."""
CODES = {"doctor": 65, "db restore": 74}
"""What does not end with 0 here: the small world's model can't be loaded, and nothing is restored over a ledger."""

TRIED = [v for v in VERBS if v.name not in NEEDS_A_REAL_SITE | MEASUREMENTS | RUNS_UNTIL_STOPPED]


def printed_type(where: str) -> tuple[Any, bool]:
    module, _, name = where.removeprefix("list of ").partition(":")
    return getattr(importlib.import_module(module), name), where.startswith("list of ")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_command_prints_json_and_every_change_can_be_tried_dry(verb: Verb) -> None:
    assert takes(verb, "json")
    assert takes(verb, "dry_run") == (bool(verb.changes) and verb.name not in MEASUREMENTS)
    for where in filter(None, (verb.prints, verb.foretells)):
        assert dataclasses.is_dataclass(printed_type(where)[0]), where


def conforms(value: Any, hint: Any, where: str) -> None:
    """Fail unless ``value`` is what the documented type says; no field may be missing, and none undocumented."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return
    if origin in (typing.Union, types.UnionType):
        if value is not None:
            (other,) = [a for a in arguments if a is not type(None)]
            conforms(value, other, where)
        else:
            assert type(None) in arguments, where
    elif dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = {f.name for f in dataclasses.fields(hint)}
        assert isinstance(value, dict) and set(value) == fields, where
        for name in fields:
            conforms(value[name], hints[name], f"{where}.{name}")
    elif origin in (tuple, list):
        assert isinstance(value, list), where
        for number, part in enumerate(value):
            conforms(part, arguments[0], f"{where}[{number}]")
    elif origin in (dict, Mapping) or getattr(origin, "__name__", "") == "Mapping":
        assert isinstance(value, dict), where
        for name, part in value.items():
            conforms(part, arguments[1], f"{where}[{name}]")
    elif hint is datetime:
        assert datetime.fromisoformat(value).utcoffset() is not None, where
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        assert value in list(hint), where
    else:
        plain = getattr(hint, "__supertype__", hint)
        assert isinstance(value, (int, float) if plain is float else plain), f"{where}: {value!r} is no {hint}"


def everything(cli: Cli, directory: Path) -> tuple[Any, ...]:
    """All rows of the ledger, and all files beside it."""
    with reading(cli.world.ledger._engine) as connection:
        rows = {table.name: connection.execute(select(table)).all() for table in tables.metadata.sorted_tables}
    files = {
        p.relative_to(directory): p.read_bytes()
        for p in directory.rglob("*")
        if p.is_file() and not p.name.startswith("ledger.sqlite3")
    }
    return rows, files, sorted(cli.world.store.hashes())


@pytest.mark.slow
@pytest.mark.parametrize("at_work", [False, True], ids=["new", "at work"])
@pytest.mark.parametrize("verb", TRIED, ids=lambda verb: verb.name)
def test_the_document_is_the_documented_one_and_nothing_is_changed(
    cli: Cli, tmp_path: Path, verb: Verb, at_work: bool
) -> None:
    """``at work``: a version is current, and another process holds the lease."""
    if at_work:
        cli.good("sync")
        cli.good("db", "backup", "kept.bak")
        with cli.world.ledger.write() as tx:
            for name in ("writer", "puller"):
                tx.acquire_lease(name, "somebody else", timedelta(hours=1), cli.world.clock.now())
    else:
        (tmp_path / "kept.bak").touch()
    before = everything(cli, tmp_path)
    asked = ARGUMENTS.get(verb.name, verb.name).split()
    result = cli(*asked, *(["--dry-run"] if verb.changes else []), "--json")
    assert everything(cli, tmp_path) == before
    if not result.out:
        assert result.code in ((66, 74, 1) if not at_work else (CODES.get(verb.name, -1),)), result
        assert result.err, "it says why"
        return
    assert result.code == (CODES.get(verb.name, 0)), result
    kind, listed = printed_type(verb.foretells if verb.foretells and verb.changes else verb.prints)
    document = json.loads(result.out)
    for number, part in enumerate(document if listed else [document]):
        conforms(part, kind, f"{kind.__name__}[{number}]")
