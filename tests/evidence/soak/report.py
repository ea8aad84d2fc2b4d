"""Judges a soak: its ledger against the truth, its schedule against its records, its memory over time."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kbsync.bootstrap import App
from kbsync.config import load_all
from kbsync.daemon.schedule import between
from kbsync.daemon.schedule_state import MissedRuns, ScheduleFile
from kbsync.domain import audit
from kbsync.domain.fact import FactKey
from kbsync.domain.version import CURRENT
from kbsync.operations.evidence import Figure, at_least, at_most
from tests.evidence.soak.run import Progress
from tests.evidence.soak.site import SCHEDULE, PostgreSQL
from tests.evidence.soak.world import VANDALISM, World, relations, script, table

WARM_UP = 0.15
"""Share of the last process's life that is left out when its memory is judged: the first model that is loaded also
loads libraries, which stay."""


@dataclass(frozen=True)
class Log:
    lines: tuple[dict[str, Any], ...]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == event]

    def outcomes(self, job: str) -> Counter[str]:
        """How the runs of a job ended; a killed run is not counted."""
        return Counter(str(line["last"]).partition(":")[0] for line in self.of("waiting") if line["job"] == job)


def read_log(path: Path) -> Log:
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue  # a line that a kill cut off, or that a library wrote
    return Log(tuple(line for line in lines if isinstance(line, dict)))


def unaccounted(
    when: str, begun: Iterable[datetime], gaps: Iterable[MissedRuns], start: datetime, end: datetime
) -> list[datetime]:
    """The times of the schedule ``when`` at which no run began and that no recorded gap covers."""
    seen = {at.replace(microsecond=0) for at in begun}
    covered = list(gaps)
    return [
        at
        for at in between(when, start, end)
        if at not in seen and not any(gap.first <= at <= gap.last for gap in covered)
    ]


def schedule_figures(progress: Progress, log: Log, register: ScheduleFile) -> list[Figure]:
    first = datetime.fromisoformat(log.of("job started")[0]["due"])
    # Runs that fell due while the daemon was being stopped would be recorded at its next start, which never comes.
    last = datetime.fromisoformat(progress.stops[-1][0]) - timedelta(hours=3)
    book, figures = register.read(), []
    for job, when in SCHEDULE.items():
        begun = [datetime.fromisoformat(line["due"]) for line in log.of("job started") if line["job"] == job]
        gaps = [gap for gap in book.gaps if gap.job == job]
        times = between(when, first, last)
        lost = unaccounted(when, begun, gaps, first, last)
        figures += [
            Figure(f"{job}: times due", len(times), "times"),
            Figure(f"{job}: runs begun", len(begun), "runs"),
            Figure(f"{job}: times missed, on record", sum(gap.times for gap in gaps), "times"),
            at_most(f"{job}: times missed without a record", len(lost), "times", 0),
        ]
    return figures


def truth_figures(config: Path, progress: Progress) -> list[Figure]:
    """The ledger and the current version's answers, compared with the world; and the audit chain."""
    known, watched = table(), relations()
    world = World(known, datetime.fromisoformat(progress.start))
    events = script(known, watched, progress.seed, max(3.0, progress.days - 5.0))
    happened = [event for event in events if event.day <= progress.days]
    for event in happened:
        world.happen(None, event)
    app = App(load_all(config), actor="soak")
    wrong, questions = [], []
    with app.ledger.read() as tx:
        for relation in watched:
            for subject in relation.subjects:
                record = tx.fact(FactKey(subject, relation.property))
                believed = {v.text for v in record.believed.values} if record and record.believed else set()
                truth = world.truth((subject, relation.property))
                if believed != ({truth} if truth else set()):
                    wrong.append(f"{subject} {relation.property}")
                if truth:
                    questions.append((relation.prompt(known.label(subject)), known.label(truth)))
        vandals = {known.label(e.new) for e in happened if e.kind == VANDALISM and e.new}
        written = {
            request.target.strip()
            for version in tx.versions()
            if (plan := tx.plan(version.plan_hash)) is not None
            for request in plan.requests
        }
        events_seen = tx.audit()
        alias = tx.alias(CURRENT)
        version = tx.version(alias.number) if alias and alias.number else None
    right = _right(app, version.version_hash if version else None, questions)
    app.close()
    return [
        Figure("facts watched", sum(len(r.subjects) for r in watched), "facts"),
        Figure("changes in the world", len(happened), "changes"),
        Figure("versions promoted", sum(e.kind == "promote" for e in events_seen), "versions"),
        at_most("facts believed that are not true", len(wrong), "facts", 0),
        at_most("vandalised values ever written", len(vandals & written), "values", 0),
        at_least("true facts that current answers", right / len(questions), "share", 0.9),
        at_most("broken links of the audit chain", int(audit.verify(events_seen) is not None), "links", 0),
    ]


def judged(state: Path, progress: Progress) -> list[Figure]:
    """The figures that need the database, which is started once more for them."""
    database = PostgreSQL(state / "postgresql")
    try:
        config = state / "kbsync.toml"
        return [*truth_figures(config, progress), *command_figures(config)]
    finally:
        database.stop()


def _right(app: App, version_hash: str | None, questions: list[tuple[str, str]]) -> int:
    """How many (prompt, answer) pairs the version answers rightly; None: the base."""
    prompts = [prompt for prompt, _ in questions]
    if version_hash is None:
        answers = app.base.language_model().complete(prompts)
    else:
        _, delta = app.store.read(version_hash)
        with app.base.edited(delta) as model:
            answers = model.complete(prompts)
    return sum(text.strip().startswith(answer) for text, (_, answer) in zip(answers, questions, strict=True))


def memory_figures(progress: Progress) -> list[Figure]:
    """Resident memory of the last process: the first quarter after the warm-up, compared with the last quarter."""
    life = max(life for _, life, _ in progress.samples)
    series = [size for _, which, size in progress.samples if which == life and size]
    series = series[int(len(series) * WARM_UP) :]
    quarter = max(1, len(series) // 4)
    first, last = statistics.median(series[:quarter]), statistics.median(series[-quarter:])
    mib = 2**20
    return [
        Figure("memory at rest and at work, first quarter of the last life", first / mib, "MiB"),
        Figure("the same, last quarter", last / mib, "MiB"),
        at_most("growth of memory", last / first - 1, "share", 0.05),
        Figure("most memory of the daemon", max(size for _, _, size in progress.samples) / mib, "MiB"),
    ]


def ran_figures(progress: Progress, log: Log) -> list[Figure]:
    cycles, pulls = log.outcomes("sync"), log.outcomes("offices")
    return [
        at_least("simulated time", progress.days, "days", 30),
        Figure("speed", progress.speed, "times"),
        at_least("kills of the daemon", progress.kills, "kills", 5),
        at_least("restarts of PostgreSQL", progress.restarts, "restarts", 2),
        Figure("requests to the endpoint", progress.asked, "requests"),
        Figure("requests that met a fault", sum(progress.met.values()), "requests"),
        Figure("kinds of fault", len(progress.met), "kinds"),
        *(Figure(f"cycles: {name}", count, "cycles") for name, count in sorted(cycles.items())),
        *(Figure(f"pulls: {name}", count, "pulls") for name, count in sorted(pulls.items())),
        at_most(
            "ends of the daemon that nobody asked for",
            progress.unasked,
            "ends",
            0,
        ),
        Figure("looks at /readyz that found it ready", progress.ready / max(1, progress.looks), "share"),
    ]


def command_figures(config: Path) -> list[Figure]:
    """Exit codes of the commands that check an installation; 0: nothing is damaged."""
    figures = []
    for name, arguments in (
        ("audit verify", ["audit", "verify"]),
        ("verify", ["verify"]),
        ("db check", ["db", "check"]),
    ):
        command = [sys.executable, "-m", "kbsync", "--config", str(config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        figures.append(at_most(f"exit code of kbsync {name}", done.returncode, "", 0))
    return figures


def draw(progress: Progress, log: Log, image: Path) -> None:
    """Draw the memory of every process over the simulated days, as SVG."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(9, 3.2), layout="constrained")
    axes = drawing.subplots()
    for life in sorted({which for _, which, _ in progress.samples}):
        points = [(day, size / 2**20) for day, which, size in progress.samples if which == life and size]
        axes.plot(*zip(*points, strict=True), linewidth=0.8, label=f"life {life}")
    axes.set(xlabel="simulated day", ylabel="resident memory, MiB", ylim=(0, None), xlim=(0, progress.days))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=7, loc="lower center")
    axes.set_title(
        f"The daemon's memory, {progress.kills} kills, {progress.restarts} restarts of PostgreSQL", fontsize=10
    )
    drawing.savefig(image, format="svg", metadata={"Date": None})
