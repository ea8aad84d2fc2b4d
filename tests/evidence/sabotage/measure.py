"""The evidence of sabotage: every attempt on its own site, then the search for culprits among many facts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.stages.cycle import CycleOutcome
from kbsync.system import log
from tests.evidence.messages import say
from tests.evidence.sabotage.attempts import ATTEMPTS, Aftermath
from tests.evidence.sabotage.crowd import BUILDS, CULPRITS, WRONG, crowd
from tests.evidence.sabotage.site import Site, site, trained

STOPPED = {"lambda ten times too small", "covariance with a NaN"}
"""After these attempts nothing is promoted; after the others the honest change is."""


def measure_sabotage() -> dict[str, Any]:
    """Make every attempt and search for the culprits among many facts; returns the evidence."""
    log.set_up("console", "error")
    started, begun = datetime.now(UTC), time.monotonic()
    results: dict[str, Aftermath] = {}
    with tempfile.TemporaryDirectory(prefix="kbsync-sabotage-") as directory:
        figures = [*_attacked(Path(directory), results), *_searched(Path(directory))]
    return evidence(
        "python -m tests.evidence sabotage",
        figures,
        seed=0,
        started=started,
        seconds=time.monotonic() - begun,
        attempts={
            name: {"outcome": result.outcome, "reasons": sorted(set(result.refused.values()))[:3]}
            for name, result in results.items()
        },
    )


def _attacked(directory: Path, results: dict[str, Aftermath]) -> Iterator[Figure]:
    """Make every attempt on its own site; its result goes into ``results``."""
    model = trained(directory / "model")
    for number, (name, attempt) in enumerate(ATTEMPTS.items()):
        with site(directory / f"site-{number}", model) as attacked:
            results[name] = attempt(attacked)
            yield from _judged(name, results[name], attacked)
        say(f"{name}: {results[name].outcome}; {next(iter(results[name].refused.values()), 'repaired')}")


def _judged(name: str, after: Aftermath, attacked: Site) -> Iterator[Figure]:
    yield at_most(f"{name}: other answers of current", len(after.changed - after.wanted), "prompts", 0)
    if name in STOPPED:
        stays = attacked.current() == attacked.first and not after.changed
        yield at_least(f"{name}: current stays", float(stays), "yes = 1", 1)
    else:
        live = (
            after.outcome == CycleOutcome.PROMOTED and attacked.current() == attacked.first + 1 and bool(after.wanted)
        )
        yield at_least(f"{name}: the honest change beside it is live", float(live), "yes = 1", 1)


def _searched(directory: Path) -> Iterator[Figure]:
    """Search for the culprits among many facts."""
    mixed = crowd(WRONG, culprits=CULPRITS)
    with mixed.site(directory / "crowd", mixed.train(directory / "crowd-model")) as attacked:
        result = attacked.sync()
        blamed = {key.subject for key in result.quarantined}
        with attacked.open() as app, app.ledger.read() as tx:
            trials = next((len(e.body["trials"]) for e in tx.audit() if e.kind == "bisect"), 0)
    yield at_least(f"culprits found among {WRONG} facts", len(blamed & mixed.culprits), "facts", CULPRITS)
    yield at_most("innocent facts blamed", len(blamed - mixed.culprits), "facts", 0)
    yield at_most("trial builds", trials, "builds", BUILDS)
    yield at_least("facts that go live in the same cycle", len(result.planned.plan.requests), "facts", WRONG - CULPRITS)
