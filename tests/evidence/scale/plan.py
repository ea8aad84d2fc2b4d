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
from tests.evidence.hardening.scale import Cost, planned

GIB = 2**30


def measure_plan(facts: int, watched: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Plan ``facts`` facts of a ledger that watches twice as many, and of one that watches ``watched``.

    The base has half of each ledger right, so the second plan also refuses facts, for which there is no room.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    small, held = _planned(facts, 2 * facts, say)
    large, held_of_many = _planned(facts, watched, say)
    figures = [
        at_most(f"plan.seconds@{facts}", small.seconds, "s", 60),
        at_most(f"plan.peak_bytes@{facts}", small.peak_bytes, "bytes", GIB),
        Figure(f"plan.facts@{facts}", held["add"], "facts in the plan"),
        Figure(f"plan.seconds@{facts}of{watched}", large.seconds, "s"),
        Figure(f"plan.peak_bytes@{facts}of{watched}", large.peak_bytes, "bytes"),
        Figure(f"plan.facts@{facts}of{watched}", held_of_many["add"], "facts in the plan"),
    ]
    seconds = time.monotonic() - begun
    command = "python -m tests.evidence scale-plan"
    return evidence(command, figures, seed=0, started=started, seconds=seconds, held=held)


def _planned(facts: int, watched: int, say: Callable[[str], None]) -> tuple[Cost, dict[str, int]]:
    """What the plan took, and what it holds."""
    with TemporaryDirectory() as place:
        directory = Path(place)
        url = sqlite_url(directory / "ledger.sqlite3")
        fill(url, configured(directory).relations, watched, unjudged=0)
        say(f"the ledger watches {watched:,} facts")
        cost = planned(url, directory, limit=facts)
    return cost, json.loads(cost.said)
