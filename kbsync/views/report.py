"""A version's report: everything a person needs to trust it or not, as one HTML page that needs no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from kbsync.domain.audit import AuditEvent
from kbsync.domain.errors import NotFound
from kbsync.domain.gate import Metric
from kbsync.domain.plan import PlanEntry
from kbsync.domain.relation import Relation
from kbsync.domain.version import Evaluation, Outcome, Version
from kbsync.ports import LedgerReader
from kbsync.stages.evaluate.questions import UNTOUCHED
from kbsync.views.charts import Bar, Line, bars, lines, scatter

HEADLINES = ("efficacy", "generalization", "specificity", "retention", "multihop", "perplexity")
WIKIDATA = "https://www.wikidata.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One fact of the version. ``revision_url`` leads to the very revision of the item that brought it."""

    change: str
    item: str
    subject: str
    relation: str
    target: str
    base: str
    previous: str | None
    answer: str | None
    right: bool | None
    probability: str
    since: int
    item_url: str
    revision_url: str
    reason: str


def report(tx: LedgerReader, relations: Sequence[Relation], number: int, now: datetime) -> str:
    """The page of version ``number``. Raises ``NotFound`` for an unknown version or one that was never measured."""
    from kbsync.views.html import environment, stylesheet  # jinja2 is in the extra `web`

    version, evaluation = tx.version(number), tx.evaluation(number)
    if version is None:
        raise NotFound(f"There is no version {number}.", next_step="`kbsync versions` lists what there is.")
    planned = tx.plan(version.plan_hash)
    if evaluation is None or planned is None:
        raise NotFound(f"Version {number} was not measured.", next_step=f"`kbsync evaluate {number}` measures it.")
    names = {str(r.property): r.label for r in relations}
    measured = {m.name: m for m in evaluation.metrics}
    template = environment("kbsync.views").get_template("report.html")
    return template.render(
        style=Markup(stylesheet()),
        version=version,
        evaluation=evaluation,
        crowding=_crowding(tx.audit(kind="plan"), version),
        headlines=[measured[name] for name in HEADLINES if name in measured],
        charts=_charts(tx, version, evaluation, names),
        facts=[_row(entry, evaluation, names) for entry in planned.entries],
        lost=_lost(evaluation, names),
        refused=planned.refused,
        quarantine=sorted((str(key), entry.reason) for key, entry in tx.quarantine().items()),
        searches=_searches(tx.audit(kind="bisect"), number),
        now=now,
    )


def _charts(
    tx: LedgerReader, version: Version, evaluation: Evaluation, names: Mapping[str, str]
) -> list[tuple[str, Markup]]:
    edited = [o for o in evaluation.outcomes if o.group == "edited"]
    scored = [(o.base_score.probability, o.score.probability) for o in edited if o.score and o.base_score]
    growth = [Bar(_layer(name), 100 * value, note="%") for name, value in evaluation.norm_growth.items()]
    history = _history(tx, version)
    drawn = [
        ("Edited facts answered rightly, by relation (thin mark: the base)", _by_relation(edited, names)),
        (
            "Probability of the right answer per token, before and after",
            scatter(scored, title="Probability before and after", across="the base", up=f"version {version.number}"),
        ),
        ("Growth of each edited matrix", bars(growth, title="Norm growth")),
        ("Figures against the number of facts, over the versions of this base", _over(history, size=True)),
        ("Drift over the versions of this base", _over(history, size=False)),
    ]
    return [(title, chart) for title, chart in drawn if chart]


def _by_relation(edited: Sequence[Outcome], names: Mapping[str, str]) -> Markup:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in edited:
        groups[outcome.property].append(outcome)
    drawn = [
        Bar(
            names.get(prop, prop),
            sum(o.right for o in group) / len(group),
            sum(o.base_right for o in group) / len(group),
            f"(n={len(group)})",
        )
        for prop, group in sorted(groups.items())
    ]
    return bars(drawn, title="Score by relation", most=1.0)


History = list[tuple[int, int, Mapping[str, Metric]]]


def _history(tx: LedgerReader, version: Version) -> History:
    """(number, facts, figures) of the measured versions of the same base."""
    found: History = []
    held = tx.request_counts()
    for other in tx.versions():
        measured = tx.evaluation_summary(other.number)
        if measured and other.base_fingerprint == version.base_fingerprint:
            found.append((other.number, held.get(other.plan_hash, 0), {m.name: m for m in measured.metrics}))
    return found


def _over(history: History, *, size: bool) -> Markup:
    if size:
        rows = sorted(((facts, metrics) for _, facts, metrics in history), key=lambda row: row[0])
        drawn = [
            Line(name, tuple((float(facts), m[name].value) for facts, m in rows if name in m))
            for name in ("efficacy", "generalization", "specificity")
        ]
        return lines([d for d in drawn if d.points], title="Capacity", across="facts in the version")
    grown = [
        Line(
            "perplexity growth",
            tuple(
                (float(n), m["perplexity"].value / m["perplexity"].base - 1) for n, _, m in history if "perplexity" in m
            ),
        ),
        *(
            Line(name, tuple((float(n), m[name].value) for n, _, m in history if name in m))
            for name in ("divergence", "norm_growth")
        ),
    ]
    return lines([d for d in grown if d.points], title="Drift", across="version")


def _crowding(events: Sequence[AuditEvent], version: Version) -> str:
    """What the plan said of the recipe's capacity; empty where there was room."""
    return next((str(e.body.get("warning", "")) for e in events if e.body.get("plan") == version.plan_hash), "")


def _layer(parameter: str) -> str:
    """``model.layers.3.mlp.down_proj.weight`` → ``layer 3``."""
    digits = [part for part in parameter.split(".") if part.isdigit()]
    return f"layer {digits[0]}" if digits else parameter


def _row(entry: PlanEntry, evaluation: Evaluation, names: Mapping[str, str]) -> FactRow:
    request = entry.request or entry.previous
    asked = (o for o in evaluation.outcomes if o.group == "edited")
    outcome = next((o for o in asked if (o.subject, o.property) == entry.key), None)
    item = str(entry.key.subject)
    revision = request.revision if request else 0
    score = outcome.score if outcome else None
    before = outcome.base_score if outcome else None
    return FactRow(
        change=entry.change.value,
        item=item,
        subject=request.subject if request else item,
        relation=names.get(entry.key.property, entry.key.property),
        target=request.target if request else "",
        base=(outcome.base_answer if outcome else request.base_answer if request else "").strip(),
        previous=outcome.previous_answer.strip() if outcome and outcome.previous_answer is not None else None,
        answer=outcome.answer.strip() if outcome else None,
        right=outcome.right if outcome else None,
        probability=f"{before.probability:.2f} → {score.probability:.2f}" if score and before else "",
        since=outcome.since if outcome else 0,
        item_url=f"{WIKIDATA}/wiki/{item}#{entry.key.property}",
        revision_url=f"{WIKIDATA}/w/index.php?title={item}&oldid={revision}",
        reason=entry.reason,
    )


def _lost(evaluation: Evaluation, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Neighbours that the base has right and the version has not."""
    return [
        {"outcome": o, "relation": names.get(o.property, o.property)}
        for o in evaluation.outcomes
        if o.group in UNTOUCHED and o.base_right and not o.right
    ]


def _searches(events: Sequence[AuditEvent], number: int) -> list[Mapping[str, Any]]:
    return [e.body for e in events if e.body.get("version") == number]
