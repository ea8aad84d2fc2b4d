"""A version of many real facts.

Real triples of the reference data (drawn by hash, so always the same) are served by a SPARQL server on loopback and go
through the whole pipeline into one version. Its report is written, every figure is measured a second time, and both are
compared. The search for culprits is off: the run shows what a large version and its report look like, whatever the gate
decides.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from kbsync.demo import show
from kbsync.demo.run import MODEL, configure, fresh, open_app
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Item, Row, Table
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import NotFound
from kbsync.domain.statement import ItemId, PropertyId, Rank, item_id
from kbsync.operations.evidence import Figure, at_least, at_most, evidence, peak_rss_bytes
from kbsync.ports import Work
from kbsync.stages.cycle import CycleResult, sync
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.command import REFUSED, run

RELATIONS = (
    "author", "capital", "continent", "country", "developer", "director", "headquarters", "manufacturer",
    "official_language", "place_of_birth", "sport", "founder",
)  # fmt: skip
SUBJECTS = 60
"""Number of subjects of each relation."""
SHORTEST, LONGEST = 2, 40
"""Least and most characters of a label."""


def read_table(data: Path, properties: Mapping[str, str], subjects: int) -> Table:
    """Read statements of each property as a table: of subjects with one known value, in an order drawn by hash.

    Args:
        data: Directory of the reference data.
        properties: Labels of the properties, by id.
        subjects: The most statements of each property.

    Raises:
        NotFound: The file is missing.
    """
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    for subject, prop, value, subject_name, value_name, source in _triples(data / "facts" / "facts_merged.tsv.gz"):
        if prop in properties and source != "mtrexf":  # its names are words of a sentence, not labels
            values[prop, subject].add(value)
            names.setdefault(subject, subject_name)
            names.setdefault(value, value_name)
    chosen: list[Row] = []
    for prop in sorted(properties):
        usable = [s for (p, s), known in values.items() if p == prop and _usable(names, s, known)]
        for subject in sorted(usable, key=lambda s: content_hash([prop, s]))[:subjects]:
            (value,) = values[prop, subject]
            chosen.append(_row(subject, prop, value))
    used = sorted({i for row in chosen for i in (row.subject, row.object)})
    items = {i: Item(id=i, label=names[i], aliases=()) for i in used}
    return Table(items, {PropertyId(p): label for p, label in properties.items()}, tuple(chosen), ())


def measure_large(data: Path, facts: int, state: Path, work: Work) -> dict[str, Any]:
    """Build the version, write its report, and measure it a second time.

    Args:
        data: Directory of the reference data.
        facts: Facts in the version.
        state: Directory of everything that this leaves.
        work: Shows the progress, and hears whether to stop.

    Returns:
        The evidence; its field ``evaluation`` is what the first measurement gave.

    Raises:
        NotFound: The reference data are missing.
        KbsyncError: A command failed.
    """
    started, clock, console = datetime.now(UTC), time.monotonic(), Console(stderr=True, highlight=False)
    fresh(state)
    more = ["[edit]", f"max_facts = {facts}", "[gate]", "bisect = false"]
    text = data / "text"
    config = configure(state, text if text.is_dir() else None, None, more)
    table = read_table(data, watched(state / "relations"), SUBJECTS)
    watch(state / "relations", table)
    with OxigraphServer(state / "world") as server:
        server.load(snapshot_turtle(started, table))
        app = open_app(config, server.endpoint, work)
        try:
            with app.writer() as writer:
                result = sync(writer, app.stages)
            show.cycle(console, app, result)
            show.gate(console, [result])
        finally:
            app.close()
    page = state / "report-1.html"
    run(state, "report", "1", "--output", page.name)
    recorded, again = (
        json.loads(run(state, "evaluate", "1", *more, "--json", accepted=(0, REFUSED))) for more in ([], ["--again"])
    )
    shown = read_page(page.read_text(encoding="utf-8"))
    console.print(f"The report: {page}")
    return evidence(
        f"python -m tests.evidence large --facts {facts}",
        _figures(facts, result, shown, recorded, again),
        seed=app.recipe.seed,
        started=started,
        seconds=time.monotonic() - clock,
        model=MODEL,
        evaluation=recorded,
    )


def _figures(
    wanted: int, result: CycleResult, shown: Mapping[str, str], recorded: dict[str, Any], again: dict[str, Any]
) -> list[Figure]:
    """Figures of the version and of the gate, and how many figures differ in the second measurement."""
    metrics, second = ({m["name"]: m for m in view["metrics"]} for view in (recorded, again))
    figures = [
        at_least("facts in the version", len(result.planned.plan.requests), "facts", wanted),
        Figure("facts believed", sum(result.probed.verdicts.values()), "facts"),
        Figure("facts guarded", len(result.planned.plan.guards), "facts"),
        Figure("passed the gate", float(recorded["passed"]), "yes = 1"),
    ]
    for name, metric in metrics.items():
        figures.append(Figure(f"{name} of the base", metric["base"], _unit(name)))
        figures.append(Figure(name, metric["value"], _unit(name)))
    on_page = sum(shown.get(name) == f"{metric['value']:.4g}" for name, metric in metrics.items())
    same = sum(metric == second.get(name) for name, metric in metrics.items())
    figures.append(
        at_most("figures of evaluate --json that the report does not show", len(metrics) - on_page, "figures", 0)
    )
    figures.append(at_most("figures that came out otherwise when measured again", len(metrics) - same, "figures", 0))
    figures.append(Figure("peak memory", peak_rss_bytes() / 2**30, "GiB"))
    return figures


def read_page(html: str) -> dict[str, str]:
    """The report's table of figures: by name, the text that it shows for this version."""
    table = html.partition('<table id="figures"')[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr>")]
    return {cells[0]: cells[3] for cells in rows if len(cells) > 3}


def _unit(metric: str) -> str:
    units = {"perplexity": "per token", "fluency": "bits × 100", "divergence": "nats", "norm_growth": "share"}
    return units.get(metric, "share")


def watched(relations: Path) -> dict[str, str]:
    """The labels of this run's relations by property. The files of all other relations are removed."""
    labels = {}
    for path in sorted(relations.glob("*.toml")):
        if path.stem not in RELATIONS:
            path.unlink()
            continue
        text = path.read_text(encoding="utf-8")
        prop, label = (re.search(rf'^{key} = "(.*)"', text, re.MULTILINE) for key in ("property", "label"))
        if prop and label:
            labels[prop[1]] = label[1]
    return labels


def watch(relations: Path, table: Table) -> None:
    """Let each relation watch the table's subjects instead of its own. A relation without any is removed."""
    for path in relations.glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        prop = re.search(r'^property = "(.*)"', text, re.MULTILINE)
        subjects = table.subjects(PropertyId(prop[1])) if prop else ()
        if not subjects:
            path.unlink()
            continue
        new = f"subjects = {json.dumps(list(subjects))}\n"
        path.write_text(re.sub(r"^subjects = \[.*?^\]\n", new, text, flags=re.MULTILINE | re.DOTALL), encoding="utf-8")


def _usable(names: Mapping[str, str], subject: str, values: set[str]) -> bool:
    return len(values) == 1 and all(SHORTEST <= len(names[i]) <= LONGEST for i in (subject, *values))


def _row(subject: str, prop: str, value: str) -> Row:
    return Row(
        subject=item_id(subject),
        property=PropertyId(prop),
        object=ItemId(value),
        rank=Rank.NORMAL,
        start=None,
        end=None,
        references=1,
    )


def _triples(path: Path) -> Iterator[list[str]]:
    if not path.is_file():
        raise NotFound(f"{path} is missing.", next_step="Name the reference data with --data.")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            yield line.rstrip("\n").split("\t")
