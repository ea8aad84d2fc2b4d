"""The figures of a demonstration: what it must show, beside what it measured."""

from __future__ import annotations

from collections.abc import Sequence

from kbsync.bootstrap import App
from kbsync.demo.changes import Event
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import Change
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import Evaluation
from kbsync.operations.evidence import Figure, at_least, at_most, peak_rss_bytes
from kbsync.stages.cycle import CycleResult

SHOWN = (
    "efficacy",
    "generalization",
    "generalization_statement",
    "generalization_question",
    "generalization_dialogue",
    "known_kept",
    "specificity",
    "retention",
    "multihop",
    "with_context",
    "without_context",
    "perplexity",
)
"""The gate's figures that are shown; ``kbsync evaluate N --json`` and ``kbsync report N`` have all."""


def figures(app: App, first: CycleResult, second: CycleResult, events: Sequence[Event], seconds: float) -> list[Figure]:
    """All figures of one run; ``seconds`` is its whole duration."""
    verdicts = first.probed.verdicts
    known = sum(verdicts.values())
    return [
        Figure("items watched", first.pulled.watched, "items"),
        Figure("relations", len(app.relations), "relations"),
        Figure("facts believed at first", known, "facts"),
        Figure("facts that the base knows", verdicts[VerdictKind.CURRENT], "facts"),
        Figure("share that the base knows", verdicts[VerdictKind.CURRENT] / known, "share"),
        Figure("facts that the base knows in some phrasings only", verdicts[VerdictKind.SHAKY], "facts"),
        Figure("facts that the base has outdated", verdicts[VerdictKind.STALE], "facts"),
        at_least("facts edited over both versions", _edited(app), "facts", 60),
        Figure("facts guarded, which specificity leaves out", len(second.planned.plan.guards), "facts"),
        Figure("items fetched by the second pull", second.pulled.fetched, "items"),
        *_changes(second),
        at_most("retracted facts still in version 2", _still_there(app, events), "facts", 0),
        at_most("vandalised values believed", _believed_vandalism(app, events), "facts", 0),
        *_gate("version 1", first.evaluation, targets=False),
        *_gate("version 2", second.evaluation, targets=True),
        at_most("elapsed", seconds, "s", 360),
        at_most("peak memory", peak_rss_bytes() / 2**30, "GiB", 6),
    ]


def _edited(app: App) -> int:
    """Different (fact, answer) pairs written into any version."""
    with app.ledger.read() as tx:
        hashes = [v.version_hash for v in tx.versions() if v.version_hash]
    return len({(r.key, r.target) for h in hashes for r in app.store.read(h)[0].requests})


def _changes(second: CycleResult) -> list[Figure]:
    entries = second.planned.plan.entries
    return [Figure(f"version 2: {c} facts", sum(e.change is c for e in entries), "facts") for c in Change]


def _still_there(app: App, events: Sequence[Event]) -> int:
    gone = {_key(e) for e in events if e.kind == "retraction"}
    with app.ledger.read() as tx:
        newest = tx.versions()[-1].version_hash
    return len(gone & {r.key for r in app.store.read(newest)[0].requests}) if newest else 0


def _believed_vandalism(app: App, events: Sequence[Event]) -> int:
    count = 0
    with app.ledger.read() as tx:
        for event in events:
            record = tx.fact(_key(event)) if event.kind == "vandalism" else None
            if record and record.believed and event.new in {v.text for v in record.believed.values}:
                count += 1
    return count


def _key(event: Event) -> FactKey:
    return FactKey(ItemId(event.subject), PropertyId(event.property))


def _gate(version: str, evaluation: Evaluation | None, *, targets: bool) -> list[Figure]:
    figures = []
    for metric in (m for m in (evaluation.metrics if evaluation else ()) if m.name in SHOWN):
        name = f"{version}: {metric.name}"
        figures.append(Figure(f"{name} of the base", metric.base, _unit(metric.name)))
        if metric.name == "perplexity":
            change = abs(metric.value / metric.base - 1)
            figures.append(Figure(name, metric.value, "perplexity"))
            figures.append(
                at_most(f"{name} change", change, "share", 0.05)
                if targets
                else Figure(f"{name} change", change, "share")
            )
        elif targets and metric.name in ("efficacy", "specificity"):
            figures.append(at_least(name, metric.value, "share", 0.9))
        else:
            figures.append(Figure(name, metric.value, "share"))
    return figures


def _unit(metric: str) -> str:
    return "perplexity" if metric == "perplexity" else "share"
