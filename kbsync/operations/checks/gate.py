"""Check of the gate: whether the next version can be measured on as many samples as it demands."""

from __future__ import annotations

from kbsync.bootstrap import App
from kbsync.domain.errors import ConfigError
from kbsync.domain.gate import Action
from kbsync.domain.interval import wilson
from kbsync.operations.checks.doubt import Doubt


def gate(app: App) -> str:
    """Compare the samples that specificity demands with those that there are, before anything is built."""
    gate = app.settings.gate
    demanded = _demanded(app)
    if demanded > gate.neighbours:
        raise ConfigError(
            [f"gate.neighbours = {gate.neighbours}: specificity demands {demanded} samples"],
            next_step=f"Set gate.neighbours to {demanded} at least.",
        )
    planned = _planned(app)
    if planned is not None:
        if planned < demanded:
            raise _too_few(demanded, planned, f"only {planned}")
        return f"{planned} facts for specificity, {demanded} are demanded"
    if any(relation.subject_pattern for relation in app.relations):
        return f"no fixed number of facts are watched, {demanded} samples are demanded"
    watched = _watched(app)
    if watched < demanded:
        raise _too_few(demanded, watched, f"at most {watched}, and only those that the model has right,")
    return f"{watched} facts are watched, {demanded} samples are demanded"


def _demanded(app: App) -> int:
    """Samples of specificity without which the gate refuses a version."""
    thresholds = (t for t in app.settings.gate.policy if t.metric == "specificity")
    refusing = (t.min_samples for t in thresholds if t.action is Action.REFUSE and not t.optional)
    return max(refusing, default=0)


def _planned(app: App) -> int | None:
    """Samples of specificity that a version of the newest plan will have; None without a plan."""
    with app.ledger.read() as tx:
        newest = tx.newest_plan()
        if newest is None:
            return None
        foreseen = app.stages.forecast_evaluation(tx, newest.plan)
    return foreseen.samples["specificity"]


def _watched(app: App) -> int:
    """Facts that could be asked: those that are believed or, before the first pull, the configured subjects."""
    with app.ledger.read() as tx:
        believed = sum(tx.fact_counts(relation.property).believed for relation in app.relations)
    return believed or sum(len(relation.subjects) for relation in app.relations)


def _too_few(demanded: int, samples: int, available: str) -> Doubt:
    low, _ = wilson(samples, samples) if samples else (0.0, 1.0)
    return Doubt(
        f"specificity demands {demanded} samples (facts that the model has right and that are not edited), and "
        f"{available} can be asked: the gate would refuse every version",
        "Watch more facts that the model has right: any relation counts, it need not be edited (`kbsync init` wrote a "
        "library of them). Or set min_samples in gate.toml to what there is; a version that was refused for this is "
        f"then judged anew. Know what you give up: when all of {samples} stay right, that only says that more than "
        f"{low:.0%} of all others do (95 %).",
    )
