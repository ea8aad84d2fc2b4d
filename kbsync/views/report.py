"""A version's report: all that a person needs to decide whether to trust it, as one HTML page that needs no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from kbsync.domain.audit import AuditEvent
from kbsync.domain.consequence import two_hop_relations
from kbsync.domain.errors import NotFound
from kbsync.domain.gate import Metric
from kbsync.domain.plan import PlanEntry
from kbsync.domain.relation import Relation
from kbsync.domain.version import Evaluation, PromptOutcome, Version
from kbsync.ports import LedgerReader, VersionReader
from kbsync.stages.evaluate.question import UNTOUCHED
from kbsync.views.charts import Bar, Line, bars, lines, scatter
from kbsync.views.forms import by_form
from kbsync.views.lens import LENS, LensView, lens_views
from kbsync.views.tuning import searched
from kbsync.views.ways import compared_ways
from kbsync.views.wording import WIKIDATA, revision_url

HEADLINES = ("efficacy", "generalization", "specificity", "retention", "multihop", "perplexity")
"""Metrics that are shown large at the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedFact:
    """One fact of the version."""

    change: str
    subject: str
    relation: str
    target: str
    """The answer that was written."""
    base: str
    """What the base answers."""
    previous: str | None
    """What the version before answers."""
    answer: str | None
    """What this version answers; None where it was not asked."""
    right: bool | None
    probability: str
    """Of the target, in the base and in this version."""
    since: int
    """The version that took the fact in; 0 where that is not known."""
    item_url: str
    revision_url: str
    """Leads to the revision of the item that brought the fact."""
    reason: str
    lens: str
    """What the attribute lens saw, where the fact fails and somebody looked; else empty."""


def report(tx: LedgerReader, relations: Sequence[Relation], number: int, now: datetime) -> str:
    """The page of one version.

    Args:
        relations: The watched ones, for their names.

    Raises:
        NotFound: The version is unknown, or was never measured.
    """
    from kbsync.views.html import environment, stylesheet  # jinja2 is in the extra `web`

    version, evaluation = tx.version(number), tx.evaluation(number)
    if version is None:
        raise NotFound(f"There is no version {number}.", next_step="`kbsync versions` lists what there is.")
    plan = tx.plan(version.plan_hash)
    if evaluation is None or plan is None:
        raise NotFound(f"Version {number} was not measured.", next_step=f"`kbsync evaluate {number}` measures it.")
    names = {str(r.property): r.label for r in (*relations, *two_hop_relations(relations))}
    metrics = {m.name: m for m in evaluation.metrics}
    looks = lens_views(tx.audit(kind=LENS), number)
    template = environment("kbsync.views").get_template("report.html")
    return template.render(
        style=Markup(stylesheet()),
        version=version,
        evaluation=evaluation,
        capacity_warning=_crowding(tx.audit(kind="plan"), version),
        recipe_search=searched(tx.audit(kind="tune"), plan.recipe_fingerprint),
        headlines=[metrics[name] for name in HEADLINES if name in metrics],
        forms=by_form(evaluation.metrics),
        ways=compared_ways(evaluation.metrics),
        charts=_charts(tx, version, evaluation, names),
        facts=[_row(entry, evaluation, names, looks) for entry in plan.entries],
        lost=_lost(evaluation, names),
        refused=plan.refused,
        quarantine=sorted((str(key), entry.reason) for key, entry in tx.quarantine().items()),
        searches=_searches(tx.audit(kind="bisect"), number),
        now=now,
    )


def _charts(
    tx: VersionReader, version: Version, evaluation: Evaluation, names: Mapping[str, str]
) -> list[tuple[str, Markup]]:
    edited = [o for o in evaluation.outcomes if o.group == "edited"]
    scored = [(o.base_score.probability, o.score.probability) for o in edited if o.score and o.base_score]
    growth = [Bar(_layer(name), 100 * value, note="%") for name, value in evaluation.norm_growth.items()]
    history = _history(tx, version)
    drawn = [
        ("Share of edited facts with the right answer, by relation (thin mark: the base)", _by_relation(edited, names)),
        (
            "Probability of the right answer per token, before and after",
            scatter(scored, title="Probability before and after", across="the base", up=f"version {version.number}"),
        ),
        ("Growth of each edited matrix", bars(growth, title="Norm growth")),
        ("Metrics over the number of facts, for all versions of this base", _by_size(history)),
        ("Drift over the versions of this base", _drift(history)),
    ]
    return [(title, chart) for title, chart in drawn if chart]


def _by_relation(edited: Sequence[PromptOutcome], names: Mapping[str, str]) -> Markup:
    groups: dict[str, list[PromptOutcome]] = defaultdict(list)
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


@dataclass(frozen=True, slots=True)
class _Measured:
    """A version of the same base that was measured."""

    number: int
    facts: int
    metrics: Mapping[str, Metric]

    def value(self, name: str) -> float:
        return self.metrics[name].value


def _history(tx: VersionReader, version: Version) -> list[_Measured]:
    plans = tx.plan_counts()
    return [
        _Measured(other.number, plans[other.plan_hash].held, {m.name: m for m in evaluation.metrics})
        for other in tx.versions()
        if other.base_fingerprint == version.base_fingerprint
        and (evaluation := tx.evaluation_summary(other.number)) is not None
    ]


def _by_size(history: Sequence[_Measured]) -> Markup:
    """Metrics over the number of facts."""
    by_size = sorted(history, key=lambda version: version.facts)
    drawn = [
        Line(name, tuple((float(v.facts), v.value(name)) for v in by_size if name in v.metrics))
        for name in ("efficacy", "generalization", "specificity")
    ]
    return lines([line for line in drawn if line.points], title="Capacity", across="facts in the version")


def _drift(history: Sequence[_Measured]) -> Markup:
    """How far the versions are from their base, over their numbers."""
    perplexity = [(v.number, v.metrics["perplexity"]) for v in history if "perplexity" in v.metrics]
    drawn = [
        Line("perplexity growth", tuple((float(number), p.value / p.base - 1) for number, p in perplexity)),
        *(
            Line(name, tuple((float(v.number), v.value(name)) for v in history if name in v.metrics))
            for name in ("divergence", "norm_growth")
        ),
    ]
    return lines([line for line in drawn if line.points], title="Drift", across="version")


def _crowding(events: Sequence[AuditEvent], version: Version) -> str:
    """What the plan said of the recipe's capacity; empty where there was room."""
    return next((str(e.body.get("warning", "")) for e in events if e.body.get("plan") == version.plan_hash), "")


def _layer(parameter: str) -> str:
    """``model.layers.3.mlp.down_proj.weight`` → ``layer 3``."""
    digits = [part for part in parameter.split(".") if part.isdigit()]
    return f"layer {digits[0]}" if digits else parameter


def _row(
    entry: PlanEntry, evaluation: Evaluation, names: Mapping[str, str], looks: Mapping[str, LensView]
) -> ReportedFact:
    request = entry.request or entry.previous
    edited = (o for o in evaluation.outcomes if o.group == "edited")
    outcome = next((o for o in edited if (o.subject, o.property) == entry.key), None)
    item = str(entry.key.subject)
    revision = request.revision if request else 0
    score = outcome.score if outcome else None
    before = outcome.base_score if outcome else None
    return ReportedFact(
        change=entry.change.value,
        subject=request.subject if request else item,
        relation=names.get(entry.key.property, entry.key.property),
        target=request.target if request else "",
        base=(outcome.base_answer if outcome else request.base_answer if request else "").strip(),
        previous=outcome.previous_answer.strip() if outcome and outcome.previous_answer is not None else None,
        answer=outcome.answer.strip() if outcome else None,
        right=outcome.right if outcome else None,
        probability=f"{before.probability:.2f} → {score.probability:.2f}" if score and before else "",
        since=outcome.since if outcome else 0,
        item_url=f"{WIKIDATA}/wiki/{item}#{entry.key.property.partition('/')[0]}",
        revision_url=revision_url(request.told_by.subject if request else item, revision),
        reason=entry.reason,
        lens=str(looks.get(str(entry.key), "")),
    )


def _lost(evaluation: Evaluation, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Neighbours that the base answers rightly and the version does not."""
    return [
        {"outcome": o, "relation": names.get(o.property, o.property)}
        for o in evaluation.outcomes
        if o.group in UNTOUCHED and o.base_right and not o.right
    ]


def _searches(events: Sequence[AuditEvent], number: int) -> list[Mapping[str, Any]]:
    """The searches for culprits that led to the version."""
    return [e.body for e in events if e.body.get("version") == number]
