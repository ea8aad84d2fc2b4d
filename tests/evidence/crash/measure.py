"""The evidence of crashes: kill ``kbsync sync`` everywhere, and judge whether the next cycle recovers.

It is killed at every place where a stage begins or ends, a transaction is committed, or a file gets its name, and at
random moments, on SQLite and PostgreSQL. Other faults are a full disk, a store that can't be written, and a restart of
the database server.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from tests.evidence.crash.suite import FAULTS, Outcome, Suite, may_mount, planned, run_all
from tests.evidence.crash.world import BACKENDS, prepared
from tests.evidence.messages import say


def measure_crashes(
    backends: tuple[str, ...],
    moments: int,
    every: int,
    *,
    seed: int,
    minutes: float,
    model: Path | None,
    record: Path,
) -> dict[str, Any]:
    """Make all tries that ``record`` does not hold yet.

    Args:
        backends: ``sqlite``, ``postgresql`` or both.
        moments: Kills at random moments, on each backend.
        every: Kill only at each N-th place.
        seed: Draws the moments.
        minutes: Stop after this time; 0: never.
        model: The model that an earlier run trained; None: train one.
        record: One JSON line for each finished try.

    Returns:
        The evidence of all tries in ``record``.
    """
    started, begun = datetime.now(UTC), time.monotonic()

    def show(outcome: Outcome) -> None:
        end = "; ".join(outcome.wrong) or "recovered"
        say(f"{outcome.name}: {'hit at' if outcome.hit else 'not hit, it was at'} {outcome.place}; {end}")

    with (
        tempfile.TemporaryDirectory(prefix="kbsync-crash-") as directory,
        prepared(Path(directory), backends, say, model) as world,
    ):
        suite = Suite(world, seed)
        wanted = (t for t in planned(suite, backends, moments, every) if t.kind not in FAULTS[:2] or may_mount())
        limit = begun + minutes * 60 if minutes else float("inf")
        timely = (t for t in wanted if time.monotonic() < limit)
        outcomes = run_all(suite, timely, record, show)
    return evidence(
        "python -m tests.evidence crash",
        figures_of(outcomes),
        seed=seed,
        started=started,
        seconds=time.monotonic() - begun,
        places=dict(sorted(Counter(o.place for o in outcomes if o.hit).items())),
        failures=[asdict(o) for o in outcomes if o.wrong],
    )


def figures_of(outcomes: list[Outcome]) -> list[Figure]:
    """Counts by database and kind, and the figures that have a target."""
    hit = [o for o in outcomes if o.hit]
    figures = [
        Figure(f"{backend}: {kind}", sum((o.backend, o.kind) == (backend, kind) for o in hit), _unit(kind))
        for backend in sorted({o.backend for o in hit})
        for kind in ("boundary", "moment", *FAULTS)
        if any((o.backend, o.kind) == (backend, kind) for o in hit)
    ]
    moments = [sum((o.backend, o.kind) == (b, "moment") for o in hit) for b in BACKENDS]
    killed = sum(o.kind in ("boundary", "moment") for o in hit)
    return [
        *figures,
        at_least("random moments killed on each database", min(moments), "kills", 200),
        Figure("kills", killed, "kills"),
        Figure("distinct places", len({o.place for o in hit}), "places"),
        Figure("leases taken over from the dead", sum(o.takeovers for o in outcomes), "leases"),
        Figure("recoveries", sum(not o.wrong for o in hit), "recoveries"),
        at_most(
            "not recovered, lost, doubled, damaged or left behind", sum(bool(o.wrong) for o in outcomes), "tries", 0
        ),
    ]


def _unit(kind: str) -> str:
    return "kills" if kind in ("boundary", "moment") else "faults"
