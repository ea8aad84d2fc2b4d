"""What pages of facts, the status, a plan and the checks cost in a ledger of a million facts, on both databases."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from kbsync.bootstrap.adapters import SystemClock
from kbsync.config import Configuration, WebSettings
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger
from kbsync.views.fact_list import FILTERS
from kbsync.views.status import status
from kbsync.web.app import make_app
from kbsync.web.backend import Backend
from tests.evidence.hardening.million import configured, fill
from tests.evidence.hardening.parts import Measured
from tests.evidence.hardening.scale import checked, planned
from tests.evidence.messages import say
from tests.support.postgres_server import shared

FACTS = 1_000_000
ROUNDS = 5
LOOKS = (
    "",
    "?relation=relation-07",
    "?after=relation-05~Q77777",
    "?after=relation-10~Q99990",
    *(f"?only={only}" for only in FILTERS),
    "?q=Q77777",
    "?q=Q177777",
    "?q=number+77",
    "?q=nobody",
    "?q=number+77&only=stale",
    "?q=nobody&only=waiting&relation=relation-03",
    *(f"?only={only}&relation=relation-09&after=relation-09~Q5" for only in FILTERS),
)
"""What is looked at: beginning and end, each filter, an item, and names that are frequent and that nobody has."""
OTHERS = ("/", "/live", "/versions", "/quarantine", "/metrics", "/healthz")
"""Pages that show no list of facts, and must not cost one."""


def measure(seed: int, facts: int = FACTS) -> Measured:
    """Fill a ledger on each database, and take the slowest of all looks, each at its fastest of five.

    Other work on the machine only adds to what a look takes.
    """
    with tempfile.TemporaryDirectory(prefix="kbsync-pages-") as name:
        directory = Path(name)
        postgresql = shared().database()
        found = {"sqlite": on_sqlite(directory, facts), "postgresql": on_postgresql(directory, postgresql, facts)}
        shared().drop(postgresql)
    return summary(found, facts)


def on_sqlite(directory: Path, facts: int) -> dict[str, Any]:
    """Fill a ledger below ``directory`` unless it is there, look at it, and run what goes through all of it.

    The plan is made first: the status has one to show then.
    """
    url = sqlite_url(directory / "ledger.db")
    configuration = configured(directory)
    if not (directory / "ledger.db").exists():
        fill(url, configuration.relations, facts, unjudged=0)
    costs = {"plan": planned(url, directory)}
    say(f"plan: {costs['plan']}")
    looks = looked_at(url, configuration)
    say(f"sqlite: {looks}")
    for verb in ("audit verify", "verify"):
        costs[verb] = checked(url, directory, verb.split())
        say(f"{verb}: {costs[verb]}")
    return {"looks": looks, "costs": {what: asdict(cost) for what, cost in costs.items()}}


def on_postgresql(directory: Path, url: str, facts: int) -> dict[str, Any]:
    """Fill an empty database and look at it."""
    configuration = configured(directory)
    fill(url, configuration.relations, facts, unjudged=0)
    looks = looked_at(url, configuration)
    say(f"postgresql: {looks}")
    return {"looks": looks}


def summary(found: Mapping[str, Mapping[str, Any]], facts: int) -> Measured:
    """The figures of what was found on each database."""
    figures = {f"facts_page.seconds@{FACTS}": _slowest(found, "/"), f"status.seconds@{FACTS}": _slowest(found, "s")}
    for verb, cost in found["sqlite"]["costs"].items():
        name = verb.replace(" ", "_")
        figures[f"{name}.gibibytes@{FACTS}"] = round(cost["peak_bytes"] / 2**30, 3)
        figures[f"{name}.seconds@{FACTS}"] = cost["seconds"]
    return Measured(figures=figures, details={"facts": facts, **found})


def _slowest(found: Mapping[str, Mapping[str, Any]], begins: str) -> float:
    """Of the looks whose names begin so, on both databases."""
    looks = [look for of_one in found.values() for look in of_one["looks"].items()]
    return max(float(seconds) for look, seconds in looks if look.startswith(begins))


def looked_at(url: str, configuration: Configuration) -> dict[str, float]:
    """Seconds of each look."""
    with closing(SqlLedger(url)) as ledger:
        backend = Backend(
            configuration=lambda: configuration, ledger=ledger, clock=SystemClock(), metrics=ProcessMetrics()
        )
        browser = TestClient(make_app(backend, WebSettings()), "http://127.0.0.1")

        def look(path: str) -> Callable[[], None]:
            def get() -> None:
                answer = browser.get(path)
                assert answer.status_code == 200, answer.text

            return get

        def show_status() -> None:
            with ledger.read() as tx:
                status(tx, backend.relations, backend.clock.now())

        seconds = {path: _least(look(path)) for path in (*OTHERS, *(f"/facts{query}" for query in LOOKS))}
        return seconds | {"/facts/Q777/P7": _least(look("/facts/Q777/P7")), "status": _least(show_status)}


def _least(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return round(min(taken), 4)
