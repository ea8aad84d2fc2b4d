"""Run parts of the hardening evidence and merge their figures into the file that other runs have written."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.operations.evidence import evidence
from tests.evidence.hardening.parts import PARTS, Part
from tests.evidence.messages import say

COMMAND = "python -m tests.evidence hardening"


def measure_hardening(only: Collection[str], seed: int, output: Path, parts: Sequence[Part] = PARTS) -> dict[str, Any]:
    """Measure parts and return the evidence of all.

    Args:
        only: The names of the parts that run now; empty: all.
        seed: Draws everything that is random.
        output: The file of earlier runs, whose figures stay where a part does not run now.
        parts: All parts, in the order of their figures.

    Returns:
        The evidence. A figure that no run has measured stands there without a value, and its demand is not met.
        ``parts`` says when and at which commit each part was measured, and in which details.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    earlier = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
    figures = {figure["name"]: figure for figure in earlier.get("figures", ())}
    runs = dict(earlier.get("parts", {}))
    for part in parts:
        if only and part.name not in only:
            continue
        if not part.written:
            say(f"{part.name}: not there yet")
            continue
        measured, run = _run(part, seed)
        figures |= measured
        runs[part.name] = run
    owed = [figures.get(owed.name, owed.missing) for part in parts for owed in part.owes]
    document = evidence(COMMAND, (), seed=seed, started=started, seconds=time.monotonic() - begun)
    return document | {"figures": owed, "parts": {part.name: runs[part.name] for part in parts if part.name in runs}}


def _run(part: Part, seed: int) -> tuple[Mapping[str, dict[str, Any]], dict[str, Any]]:
    """The figures of one part by name, and what is to be known of the run."""
    say(f"{part.name}: begins")
    started, begun = datetime.now(UTC), time.monotonic()
    measured = part.measure(seed)
    figures = [owed.figure(measured) for owed in part.owes]
    head = evidence(COMMAND, figures, seed=seed, started=started, seconds=time.monotonic() - begun)
    said = ", ".join(f"{figure.name} = {figure.value:g}" for figure in figures)
    say(f"{part.name}: {said}")
    run = {key: head[key] for key in ("commit", "seed", "started", "seconds", "peak_rss_bytes")}
    return {figure.name: asdict(figure) for figure in figures}, run | {"details": dict(measured.details)}
