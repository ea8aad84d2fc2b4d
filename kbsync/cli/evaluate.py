"""``kbsync evaluate``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from kbsync.domain.gate import Metric
    from kbsync.domain.interval import PairedDifference
    from kbsync.ports import VersionReader
    from kbsync.views.results import EvaluationView


@verb(
    "evaluate",
    examples=["kbsync evaluate", "kbsync evaluate 3 --again --json"],
    exits=[3, 65, 66, 74, 75],
    prints="kbsync.views.results:EvaluationView",
    changes="the ledger",
    foretells="kbsync.stages.evaluate.forecast:EvaluationForecast",
)
def evaluate(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(metavar="[N]", help="Version. Default: the newest built one.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure a version again that was measured before.")] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Measure a version against its base and the version before, and let the gate decide; ends with code 3 when the
    gate refuses it.

    Efficacy: edited facts answered rightly. Generalization: the same on paraphrases. Specificity: other facts that
    the base knows and that stay right. Retention: facts that the version before held. Each with its 95 % interval,
    and compared prompt by prompt; docs/reference/gate.md lists all figures. If the policy has changed since a version
    was measured, the version is judged again, not measured again. `current` does not move.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import GateRefused
    from kbsync.views.results import evaluate_view

    if dry_run:
        return _foresee(context, number, json=json)
    with application(context) as app, app.writer() as writer:
        if number is None:
            with app.ledger.read() as tx:
                number = newest_built(tx)
        result = app.stages.evaluate(writer, number, again=again)
        with app.ledger.read() as tx:
            view = evaluate_view(tx, result)
    if json:
        emit(view)
    else:
        show(view)
        if view.why_refused:
            say(f"refused: {view.why_refused}")
    if not view.passed:
        raise typer.Exit(GateRefused.exit_code)
    return None


def _foresee(context: typer.Context, number: int | None, *, json: bool) -> None:
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say, table
    from kbsync.domain.errors import NotFound

    with application(context) as app, app.ledger.read() as tx:
        number = newest_built(tx) if number is None else number
        version = tx.version(number)
        planned = tx.plan(version.plan_hash) if version else None
        if planned is None:
            raise NotFound(f"There is no version {number}.", next_step="`kbsync versions` lists what there is.")
        forecast = app.stages.forecast_evaluation(tx, planned, number)
    if json:
        return emit(forecast)
    table(("figure", "#prompts"), forecast.samples.items())
    for short in forecast.short:
        say(
            f"{short.metric} would rest on {short.samples} samples, {short.demanded} are demanded: the gate "
            f"would refuse"
        )
    return say(f"version {number} would be asked this, beside running text; nothing was asked and nothing changed")


def newest_built(tx: VersionReader) -> int:
    from kbsync.domain.errors import NotFound

    built = [v.number for v in tx.versions() if v.version_hash is not None]
    if not built:
        raise NotFound("No version is built yet.", next_step="Build one: `kbsync plan`, then `kbsync edit`.")
    return built[-1]


def show(view: EvaluationView) -> None:
    from kbsync.cli.output import say, table

    columns = (
        "metric",
        "#base",
        "#before",
        f"#version {view.version}",
        "95 %",
        "#samples",
        "against base",
        "against before",
    )
    table(columns, [_row(m) for m in view.metrics])
    table(("holds", "reason"), [("warning" if r.warning and not r.holds else r.holds, r.text) for r in view.reasons])
    known = "already measured, judged by the changed policy: " if view.judged_anew else ""
    known = known or ("already evaluated: " if view.already else "")
    verdict = "passed the gate" if view.passed else "was refused by the gate"
    say(f"{known}version {view.version} {verdict} ({view.state})")


def _row(metric: Metric) -> tuple[object, ...]:
    interval = None if metric.low is None else f"{metric.low:.3g} to {metric.high:.3g}"
    against = (_change(metric.against_base), _change(metric.against_previous))
    return (metric.name, metric.base, metric.previous, metric.value, interval, metric.samples, *against)


def _change(paired: PairedDifference | None) -> str | None:
    return None if paired is None else f"{paired.value:+.3g} ({paired.low:+.2g} to {paired.high:+.2g})"
