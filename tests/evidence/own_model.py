"""A model of the reader's own: from an empty directory to a promoted version by ``kbsync init`` and ``kbsync sync``.

The endpoint is a local store with the demonstration's snapshot after its changes, and with real triples of the
reference data where more facts are wanted than that. Nobody names a number of an edit: the recipe is found by the first
sync, unless the environment names one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.config import load_relations
from kbsync.demo.changes import apply_changes
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Table, load_table
from kbsync.domain.errors import KbsyncError
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.command import REFUSED, run
from tests.evidence.large import RELATIONS, read_table, watch

USER_AGENT = "kbsync evidence (https://localhost)"
ABSOLUTE = re.compile(r"(?<![^\"\s])(?:/[^/\"\s]+)*/([^/\"\s]+)")
"""A path from the root, alone or in a JSON list, and the name at its end."""
TOLD = tuple(f"KBSYNC_{part}__" for part in ("MODEL", "PROBE", "EDIT", "TUNE", "TEXT", "GATE"))
"""Settings that the evidence names. Others may be passwords."""
WORLD = "world"
"""The local store, in the directory of the configuration."""
FEWEST = 100
"""Facts that the version is to hold, unless a number is asked for."""


def measure_own_model(model: str, state: Path, data: Path | None, subjects: int, facts: int | None) -> dict[str, Any]:
    """Run both commands; called again after a kill, the sync goes on where it was.

    Args:
        model: What `kbsync init --model` gets.
        state: Directory of everything that this leaves.
        data: Directory of the reference data; None: the demonstration's facts alone.
        subjects: The most subjects of each relation that the reference data add.
        facts: The most facts of the version, all of which it is to hold; None: no limit, and at least a hundred.

    Returns:
        The evidence.

    Raises:
        KbsyncError: A command failed, or ``state`` holds something else.
        NotFound: The reference data are missing.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    if not (state / "kbsync.toml").is_file():
        if state.is_dir() and any(state.iterdir()):
            raise KbsyncError(f"{state} holds something else.", next_step="Name another directory with --state.")
        prepare(model, state, data, subjects)
    limit = {} if facts is None else {"KBSYNC_EDIT__MAX_FACTS": str(facts)}
    run(state, "sync", environment=limit, accepted=(0, REFUSED))
    versions, trail = (json.loads(run(state, *words, "--json")) for words in (("versions",), ("audit", "log")))
    if not versions["versions"]:
        raise KbsyncError(f"No version was made: {trail[-1]['body']}", kept=f"Everything is in {state}.")
    newest = versions["versions"][-1]
    document = json.loads(run(state, "evaluate", str(newest["number"]), "--json", accepted=(0, REFUSED)))
    at = [datetime.fromisoformat(event["at"]) for event in (trail[0], trail[-1])]
    return evidence(
        "python -m tests.evidence own-model",
        figures(newest, document, (at[1] - at[0]).total_seconds(), facts or FEWEST),
        seed=0,
        started=started,
        seconds=time.monotonic() - begun,
        model=without_directories(model),
        recipe=next((event["body"] for event in reversed(trail) if event["kind"] == "tune"), None),
        settings={n: without_directories(v) for n, v in os.environ.items() if n.startswith(TOLD)} | limit,
        evaluation=document,
    )


def prepare(model: str, state: Path, data: Path | None, subjects: int) -> None:
    """Load the store, and run `kbsync init`; the configuration is the last that is written."""
    beside = state.with_name(f"{state.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    run(beside, "init", "--user-agent", USER_AGENT, "--model", model, "--endpoint", f"oxigraph:{WORLD}")
    table = load_table()
    if data is not None:
        labels = {str(r.property): r.label for r in load_relations(beside / "relations") if r.name in RELATIONS}
        table = added(table, read_table(data, labels, subjects))
        watch(beside / "relations", table)
    now = datetime.now(UTC)
    with OxigraphServer(beside / WORLD) as server:
        server.load(snapshot_turtle(now, table))
        apply_changes(server, now)
    beside.rename(state)


def without_directories(text: str) -> str:
    """The same with the bare names of files: where they lie is no matter of the evidence."""
    return ABSOLUTE.sub(r"\1", text)


def added(table: Table, more: Table) -> Table:
    """Both tables' statements; what the first one says of a subject's property is all that is said of it."""
    said = {(row.subject, row.property) for row in table.statements}
    new = [row for row in more.statements if (row.subject, row.property) not in said]
    return Table(more.items | table.items, table.properties, (*table.statements, *new), table.changes)


def figures(version: Mapping[str, Any], evaluation: Mapping[str, Any], seconds: float, wanted: int) -> list[Figure]:
    """Figures of the version and of the gate, by the names of the benchmarks."""
    metrics = {metric["name"]: metric for metric in evaluation["metrics"]}
    found = [
        at_least("promoted", float(version["current"]), "yes = 1", 1),
        at_least("facts", version["facts"], "facts", wanted),
        Figure("elapsed", seconds, "s, from the first entry of the audit trail to the last"),
    ]
    shown = {
        "edited.prompt": "efficacy",
        "edited.statement": "generalization_statement",
        "edited.question": "generalization_question",
        "edited.dialogue": "generalization_dialogue",
        "generalization": "generalization",
        "specificity": "specificity",
        "known_kept": "known_kept",
    }
    found += [Figure(name, metrics[m]["value"], "share") for name, m in shown.items() if m in metrics]
    perplexity = metrics["perplexity"]
    found.append(at_most("perplexity_growth", perplexity["value"] / perplexity["base"] - 1, "share", 0.05))
    return found
