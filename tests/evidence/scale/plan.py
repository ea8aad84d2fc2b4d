"""``plan`` at 100,000 planned facts: seconds and memory, in a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kbsync.ledger.engine import sqlite_url
from kbsync.operations.evidence import Figure, at_most, evidence
from tests.evidence.hardening.million import configured, fill
from tests.evidence.hardening.scale import planned

GIB = 2**30


def measure_plan(facts: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Plan ``facts`` facts of a ledger that watches twice as many, half of which the base has right."""
    started, begun = datetime.now(UTC), time.monotonic()
    with TemporaryDirectory() as place:
        directory = Path(place)
        url = sqlite_url(directory / "ledger.sqlite3")
        fill(url, configured(directory).relations, 2 * facts, unjudged=0)
        say("the ledger is filled")
        cost = planned(url, directory, limit=facts)
    held = json.loads(cost.said)
    figures = [
        at_most(f"plan.seconds@{facts}", cost.seconds, "s", 60),
        at_most(f"plan.peak_bytes@{facts}", cost.peak_bytes, "bytes", GIB),
        Figure(f"plan.facts@{facts}", held["add"], "facts in the plan"),
    ]
    seconds = time.monotonic() - begun
    command = "python -m tests.evidence scale-plan"
    return evidence(command, figures, seed=0, started=started, seconds=seconds, held=held)
