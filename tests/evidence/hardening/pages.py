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
from tests.evidence.hardening.scale import Cost, checked, planned
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


def measure(seed: int, facts: int = FACTS) -> Measured:
    """Fill a ledger on each database, and take the slowest of all looks, each at its fastest of five.

    Other work on the machine only adds to what a look takes. The plan is made first: the status has one to show then.
    """
    details: dict[str, Any] = {"facts": facts}
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory(prefix="kbsync-pages-") as name:
        directory = Path(name)
        configuration = configured(directory)
        for backend, url in (("sqlite", sqlite_url(directory / "ledger.db")), ("postgresql", shared().database())):
            begun = time.monotonic()
            fill(url, configuration.relations, facts, unjudged=0)
            details[f"{backend}: filled in seconds"] = round(time.monotonic() - begun)
            costs[f"{backend}: plan"] = planned(url, directory)
            details[backend] = looked_at(url, configuration)
            say(f"{backend}: {details[backend]}")
            for verb in ("audit verify", "verify"):
                costs[f"{backend}: {verb}"] = checked(url, directory, verb.split())
            say(f"{backend}: {costs}")
        shared().drop(url)
    figures = {f"facts_page.seconds@{FACTS}": _slowest(details, "/"), f"status.seconds@{FACTS}": _slowest(details, "s")}
    for verb in ("plan", "audit verify", "verify"):
        of_verb = [cost for what, cost in costs.items() if what.endswith(f": {verb}")]
        figures[f"{verb.replace(' ', '_')}.gibibytes@{FACTS}"] = round(max(c.peak_bytes for c in of_verb) / 2**30, 3)
        figures[f"{verb.replace(' ', '_')}.seconds@{FACTS}"] = max(c.seconds for c in of_verb)
    return Measured(figures=figures, details=details | {"costs": {what: asdict(c) for what, c in costs.items()}})


def _slowest(details: Mapping[str, Any], begins: str) -> float:
    """Of the looks whose names begin so, on both databases."""
    looks = [look for backend in ("sqlite", "postgresql") for look in details[backend].items()]
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

        seconds = {f"/facts{query}": _least(look(f"/facts{query}")) for query in LOOKS}
        return seconds | {"/facts/Q777/P7": _least(look("/facts/Q777/P7")), "status": _least(show_status)}


def _least(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return round(min(taken), 4)
