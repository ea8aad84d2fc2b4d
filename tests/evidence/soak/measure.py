"""The evidence of a soak: run it, judge the result, and draw its plot."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.daemon.schedule_state import ScheduleFile
from kbsync.operations.evidence import evidence
from tests.evidence.messages import say
from tests.evidence.soak import report
from tests.evidence.soak.run import Soak, begin, resumed

MARKER = ".kbsync-soak"
"""A state directory without this file was not made by a soak, and is never removed."""


def measure_soak(
    state: Path, days: float, minutes: float, seed: int, output: Path, *, restart: bool = False
) -> dict[str, Any]:
    """Soak, or finish the soak that was interrupted, and judge it.

    Args:
        state: Directory of everything that the soak leaves.
        days: Simulated days of a new soak.
        minutes: Real minutes that a new soak takes.
        seed: Draws the events of a new soak.
        output: The evidence file beside which the plot is written.
        restart: Discard an interrupted soak.

    Returns:
        The evidence.
    """
    state = state.resolve()
    if restart and (state / MARKER).exists():
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    (state / MARKER).touch()
    # PostgreSQL runs as a user of its own where this process is root.
    state.chmod(0o755)
    progress = resumed(state) or begin(seed, days, minutes)
    started = datetime.now(UTC)
    if not progress.stops:
        Soak(state, progress, say).run()
    log = report.read_log(state / "daemon.log")
    figures = [
        *report.ran_figures(progress, log),
        *report.schedule_figures(progress, log, ScheduleFile(state / "state")),
        *report.judged(state, progress),
        *report.memory_figures(progress),
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    report.draw(progress, log, output.with_suffix(".svg"))
    return evidence(
        "python -m tests.evidence soak",
        figures,
        seed=progress.seed,
        started=started,
        seconds=progress.seconds,
        faults=progress.met,
        samples=progress.samples[:: max(1, len(progress.samples) // 300)],
    )
