"""``python -m tests.evidence.crash``: kill ``kbsync sync`` everywhere, and see what the next one makes of it.

Kills at every place where a stage begins or ends, a transaction is committed, or a file gets its name, and at random
moments, on SQLite and PostgreSQL; then disks that are full, stores that can't be written, database servers that restart.
Interrupted, it goes on where it was when it is called again. Writes docs/results/crash.json; exit code 1 where something
was lost, doubled, damaged or left behind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from kbsync.operations.evidence import Figure, at_least, at_most, evidence, write_evidence
from tests.evidence.crash.suite import FAULTS, Outcome, Suite, may_mount, planned, run_all
from tests.evidence.crash.world import BACKENDS, prepared


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.evidence.crash", description=__doc__.partition("\n")[0])
    parser.add_argument("--moments", type=int, default=200, help="random moments on each database")
    parser.add_argument("--every", type=int, default=1, help="of the places, only each so-manyth")
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long (0: never); the next call goes on")
    parser.add_argument("--believer", type=Path, help="a model that an earlier run trained, to spare the time")
    parser.add_argument("--record", type=Path, default=Path("crash-tries.jsonl"), help="what was tried so far")
    parser.add_argument("--out", type=Path, default=Path("docs/results/crash.json"))
    asked = parser.parse_args()
    started, begun = datetime.now(UTC), time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:7.0f} s  {text}\n")

    def tell(outcome: Outcome) -> None:
        end = "; ".join(outcome.wrong) or "recovered"
        say(f"{outcome.name}: {'hit at' if outcome.hit else 'not hit, it was at'} {outcome.place}; {end}")

    with (
        tempfile.TemporaryDirectory(prefix="kbsync-crash-") as directory,
        prepared(Path(directory), tuple(asked.backends), say, asked.believer) as world,
    ):
        suite = Suite(world, asked.seed)
        tries = planned(suite, tuple(asked.backends), asked.moments, asked.every)
        wanted = (t for t in tries if t.kind not in FAULTS[:2] or may_mount())
        limit = begun + asked.minutes * 60 if asked.minutes else float("inf")
        timely = (t for t in wanted if time.monotonic() < limit)
        outcomes = run_all(suite, timely, asked.record, tell)
    figures = figures_of(outcomes)
    more = {
        "places": dict(sorted(Counter(o.place for o in outcomes if o.hit).items())),
        "failures": [asdict(o) for o in outcomes if o.wrong],
    }
    seconds = time.monotonic() - begun
    write_evidence(
        asked.out,
        evidence("python -m tests.evidence.crash", figures, seed=asked.seed, started=started, seconds=seconds, **more),
    )
    return 1 if more["failures"] else 0


def figures_of(outcomes: list[Outcome]) -> list[Figure]:
    """Counts by database and kind, and the three that must hold."""
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


if __name__ == "__main__":
    sys.exit(main())
