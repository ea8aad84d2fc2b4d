"""``python -m tests.evidence.soak``: soak, judge, and write ``docs/results/soak.json`` and its plot. Run again, it goes on."""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from kbsync.daemon.schedule_state import ScheduleFile
from kbsync.operations.evidence import evidence, write_evidence
from tests.evidence.soak import report
from tests.evidence.soak.run import Soak, begin, resumed

MARKER = ".kbsync-soak"


def main() -> int:
    """0 when every target holds."""
    asked = _arguments()
    state: Path = asked.state.resolve()
    if asked.fresh and (state / MARKER).exists():
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    (state / MARKER).touch()
    # PostgreSQL runs as a user of its own where this process is root.
    state.chmod(0o755)
    progress = resumed(state) or begin(asked.seed, asked.days, asked.minutes)
    started = datetime.now(UTC)
    if not progress.stops:
        Soak(state, progress, _say).run()
    log = report.read_log(state / "daemon.log")
    figures = [
        *report.ran_figures(progress, log),
        *report.schedule_figures(progress, log, ScheduleFile(state / "state")),
    ]
    figures += report.judged(state, progress)
    figures += report.memory_figures(progress)
    document = evidence(
        "make soak",
        figures,
        seed=progress.seed,
        started=started,
        seconds=progress.seconds,
        faults=progress.met,
        samples=progress.samples[:: max(1, len(progress.samples) // 300)],
    )
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_evidence(asked.out, document)
    report.draw(progress, log, asked.out.with_suffix(".svg"))
    for figure in figures:
        _say(
            f"{figure.name}: {figure.value:g} {figure.unit} {figure.target or ''} {'' if figure.holds is None else figure.holds}"
        )
    return 0 if all(figure.holds is not False for figure in figures) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.evidence.soak", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path("soak-state"), help="kept for an interrupted run to go on")
    parser.add_argument("--out", type=Path, default=Path("docs/results/soak.json"))
    parser.add_argument("--days", type=float, default=30.0, help="simulated days")
    parser.add_argument("--minutes", type=float, default=20.0, help="that they take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="forget an interrupted run")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
