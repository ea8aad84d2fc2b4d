"""Runs the suite of sources on every engine, pulls the demonstration from each, and compares the ledgers."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from kbsync.config.relation_file import load_relations
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.domain.errors import SourceError
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.operations.evidence import at_least, at_most, evidence
from kbsync.stages.pull.pull import pull
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.evidence.messages import say
from tests.support.engines import ENGINES, Engine
from tests.support.paths import ROOT
from tests.support.stage_world import make_world

T = TypeVar("T")

COMMAND = "python -m tests.evidence engines"
SUITE = "tests/conformance/test_engines.py"
MOMENT = datetime(2026, 1, 15, tzinfo=UTC)
MEASURED = ("kbsync/wikidata", "kbsync/stages/pull", "tests/conformance")
"""Folders of the code that decides what an engine is found to do."""
KEPT = ("items", "statements", "labels", "aliases", "facts")
"""What a ledger holds of a pull, by the beginning of its tables' names."""

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "clock": ("server_time",),
    "shape": ("a_dump_is",),
    "heads": ("heads_know", "asked_for_twice", "nothing_asked"),
    "statements": ("a_record_holds", "records_without", "references_are", "unknown_and_no", "an_edit_shows"),
    "values": ("values_of_every",),
    "times": ("times_keep",),
    "labels": ("labels_in_pages",),
    "redirects": ("a_redirect_goes", "redirects_are_followed"),
    "deletions": ("every_asked_item",),
    "patterns": ("subjects_are",),
    "paging": ("pages_come",),
    "caps": ("cut_off",),
    "mistakes": ("a_mistake", "what_is_no_item"),
}
"""Question → beginnings of the names of the tests that ask it, without ``test_``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one engine was found to do."""

    version: str
    """As the engine's package says it."""
    answered: Mapping[str, bool]
    """Question → whether all its tests passed, and at least one did."""
    ledger: str
    """A hash of the ledger that the demonstration's pull leaves; empty where nothing was pulled."""


def measure_engines(state: Path, seed: int = 0) -> dict[str, Any]:
    """The evidence: 1 or 0 for each engine and question, and whether the ledgers are the same.

    An engine that is not installed has 0 everywhere, and so fails.

    Args:
        state: Keeps what each engine was found to do, so that a second run with the same code asks only the others.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    outcomes = {name: _outcome(name, kind, state) for name, kind in ENGINES.items()}
    figures = [
        at_least(f"{engine}.{question}", int(outcome.answered.get(question, False)), "of 1", 1)
        for engine, outcome in outcomes.items()
        for question in QUESTIONS
    ]
    failed = sorted({figure.name.partition(".")[0] for figure in figures if not figure.holds})
    hashes = {name: outcome.ledger for name, outcome in outcomes.items()}
    same = len(set(hashes.values())) == 1 and "" not in hashes.values()
    figures += [
        at_most("engines.failed", len(failed), "engines", 0),
        at_least("ledger.same", int(same), "of 1", 1),
    ]
    document = evidence(COMMAND, figures, seed=seed, started=started, seconds=time.monotonic() - begun)
    engines = {name: outcome.version for name, outcome in outcomes.items()}
    return document | {"engines": engines, "ledgers": hashes, "failed": failed}


def _outcome(name: str, kind: type[Engine], state: Path) -> Outcome:
    """Ask one engine everything, or read what it was found to do before."""
    if kind.missing():
        say(f"{name} is not installed: {', '.join(kind.missing())} not found")
        return Outcome("", {}, "")
    kept = f"{name}-{kind.version()}-{_code()[:16]}"
    answered = _kept(state / f"{kept}-questions.json", lambda: _suite(name))
    return Outcome(kind.version(), answered, _kept(state / f"{kept}-ledger.json", lambda: _ledger(name, kind)))


def _kept(file: Path, find: Callable[[], T]) -> T:
    """What ``file`` holds of an earlier run, or what is found now; nothing is kept of what was found empty."""
    if file.is_file():
        found: T = json.loads(file.read_text())
        return found
    found = find()
    if found:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
    return found


def _code() -> str:
    """A hash of the code that asks and reads."""
    files = sorted(path for place in MEASURED for path in (ROOT / place).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _suite(engine: str) -> dict[str, bool]:
    """Question → whether all its tests passed on this engine, and at least one did."""
    say(f"{engine}: the questions")
    with tempfile.TemporaryDirectory(prefix="kbsync-engines-") as directory:
        report = Path(directory) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            SUITE,
            "-k",
            engine,
            f"--junit-xml={report}",
        ]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for case in cases:
        test, its_engine = _named(str(case.get("name")))
        bad = {child.tag for child in case} & {"failure", "error", "skipped"}
        for question, tests in QUESTIONS.items():
            if its_engine == engine and any(test.removeprefix("test_").startswith(beginning) for beginning in tests):
                outcomes[question].append(not bad)
    return {question: all(told) for question, told in outcomes.items()}


def _named(case: str) -> tuple[str, str]:
    """The test and the engine of ``test_values_of_every_kind[virtuoso-value3]``."""
    test, _, parameters = case.partition("[")
    engine = next((name for name in ENGINES if re.match(rf"{re.escape(name)}(?=[-\]])", parameters)), "")
    return test, engine


def _ledger(name: str, kind: type[Engine]) -> str:
    """A hash of what the demonstration's pull from this engine writes into a new ledger; empty where it fails."""
    say(f"{name}: pulls the demonstration")
    try:
        with tempfile.TemporaryDirectory(prefix="kbsync-ledger-") as directory, kind() as engine:
            engine.replace(snapshot_turtle(MOMENT))
            return _pulled(engine, Path(directory) / "ledger.sqlite3")
    except (RuntimeError, SourceError) as error:
        say(f"{name}: {error}")
        return ""


def _pulled(engine: Engine, file: Path) -> str:
    schema.upgrade(f"sqlite:///{file}")
    ledger = SqlLedger(f"sqlite:///{file}")
    try:
        world = make_world(ledger)
        world.clock.time = MOMENT
        client = SparqlClient(engine.endpoint, "tests@kbsync.invalid", timeout=600, deadline=600)
        result = pull(world.run, WikidataSource(client), load_relations(ROOT / "config" / "relations"))
    finally:
        ledger.close()
    return hashlib.sha256("\n".join(_rows(file)).encode()).hexdigest() if result.fetched else ""


def _rows(file: Path) -> Iterator[str]:
    """All rows of the tables that a pull fills, in an order of their own."""
    with sqlite3.connect(file) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in sorted(name for name in names if name.startswith(KEPT)):
            yield f"# {table}"
            yield from sorted(repr(row) for row in connection.execute(f'SELECT * FROM "{table}"'))
