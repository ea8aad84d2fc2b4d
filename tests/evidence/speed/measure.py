"""``python -m tests.evidence speed``: runs suites by name, and keeps the figures of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kbsync.domain.canonical import content_hash
from kbsync.operations.evidence import Figure, evidence
from kbsync.research.result_cache import EDITED_BY, ResultCache
from kbsync.research.session import ResearchSession
from tests.evidence.speed import editing, numbers, reading
from tests.evidence.speed.limits import limits
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Parts, Workshop

SUITES: dict[str, Callable[[Workshop, SuiteSize], list[Figure]]] = {
    "solve": lambda _shop, size: numbers.closed_form(size),
    "covariance": reading.covariance,
    "probing": reading.probing,
    "targets": editing.targets,
    "keys": editing.keys,
    "rebuild": editing.rebuild,
    "growth": editing.growth,
    "nothing": editing.nothing,
    "storage": numbers.storage,
    "memory": numbers.memory,
    "windows": numbers.windows,
    "limits": limits,
}

DEMANDED = ("targets", "memory", "rebuild", "nothing")
"""What is demanded of every model, the larger ones too; the others say more, and take longer."""


def measure_speed(
    session: ResearchSession, suites: Sequence[str], size: SuiteSize, *, again: bool = False
) -> dict[str, Any]:
    """Run the suites; returns the evidence.

    What was measured before with the same code, model and size is not measured again, unless ``again``: whole suites,
    and the parts of those that take long. Raises ``Stopped`` between two suites.
    """
    started, begun, app = session.app.clock.now(), time.monotonic(), session.app
    parts = ResultCache(session.artifacts, "bench-speed", (*EDITED_BY, "checkpoints", "operations", "research"))
    suite_code = content_hash([p.read_text(encoding="utf-8") for p in sorted(Path(__file__).parent.glob("*.py"))])
    common = {
        "code": suite_code,
        "size": asdict(size),
        "base": app.base.fingerprint,
        "recipe": session.recipes[0].fingerprint,
    }
    shop = Workshop(session, Parts(parts, again=again, **common))
    figures: list[Figure] = []
    profile: dict[str, float] = {}
    app.work.start("speed", len(suites))
    for name in suites:
        inputs = common | {"suite": name}
        known = None if again else parts.get(**inputs)
        if known is None:
            before = time.monotonic()
            found = [asdict(f) for f in SUITES[name](shop, size)]
            known = {"figures": found, "seconds": round(time.monotonic() - before, 1)}
            parts.put(known, **inputs)
        figures += [Figure(**f) for f in known["figures"]]
        profile[name] = known["seconds"]
        app.work.advance()
    app.work.finish()
    return evidence(
        "python -m tests.evidence speed",
        figures,
        seed=shop.recipe.seed,
        started=started,
        seconds=time.monotonic() - begun,
        model={"reference": session.bench().loaded.reference, "fingerprint": app.base.fingerprint},
        recipe=shop.recipe.fingerprint,
        layers=list(shop.recipe.layers),
        size=asdict(size),
        suites=profile,
    )
