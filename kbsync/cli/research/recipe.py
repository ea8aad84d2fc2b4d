"""``kbsync recipe tune``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from datetime import timedelta

    from kbsync.bootstrap import App
    from kbsync.views.tuning import TuneForecast, TuneView


@verb(
    "recipe tune",
    examples=["kbsync recipe tune", "kbsync recipe tune --budget 2h", "kbsync recipe tune --units 262"],
    exits=[3, 65, 70, 74, 75],
    prints="kbsync.views.tuning:TuneView",
    changes="files, the ledger, the store",
    foretells="kbsync.views.tuning:TuneForecast",
)
def tune(
    context: typer.Context,
    budget: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long it should take. Default: tune.budget.")
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The work to do, instead of a budget: a recipe's file names its own."),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Find a recipe for the base on facts of the ledger, as `kbsync sync` does where it has none, with more time.

    Layers come from a causal trace and from the model's depth. λ, step and clamp are tried on facts that no version is
    measured on: facts that the base knows, with another answer, and facts that it does not know. The best recipe is
    written into `recipes/auto-<fingerprint>.toml`, with every trial. Every finished trial is kept, so that a command
    that was stopped or killed goes on where it was. The same facts, base and units give the same recipe. Where no
    recipe holds the gate's bounds, none is written and the command ends with code 3.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import GateRefused
    from kbsync.views.tuning import tune_view

    length = _budget(budget)
    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        if dry_run:
            forecast = _forecast(app, length, units)
            return emit(forecast) if json else _show_forecast(forecast)
        named = app.recipes.named and app.recipes.named.name
        view = tune_view(app.stages.tune(writer, budget=length, units=units))
    if json:
        emit(view)
    else:
        show(view)
        if named and not view.refusal:
            say(f'the configuration names {named}: set recipe = "auto" in [edit] to use the one that was found')
    if view.refusal:
        raise typer.Exit(GateRefused.exit_code)
    return None


def _budget(text: str | None) -> timedelta | None:
    from kbsync.config.values import duration, positive

    try:
        return None if text is None else positive(duration(text))
    except ValueError as error:
        raise typer.BadParameter(f"--budget {error}") from None


def _forecast(app: App, budget: timedelta | None, units: int | None) -> TuneForecast:
    from kbsync.stages.tune.forecast import forecast, more_time
    from kbsync.views.tuning import forecast_view

    length = budget or app.settings.tune.budget
    estimate = forecast(app.run, app.base, None, length, units=units)
    return forecast_view(estimate, within_budget=estimate.within(length), more_time=more_time(estimate))


def _show_forecast(forecast: TuneForecast) -> None:
    from kbsync.cli.output import count, say

    trials = count(forecast.trials, "trial")
    say(
        f"{count(forecast.recipes, 'recipe')} on up to {count(forecast.facts, 'fact')}, {trials} in all "
        f"({forecast.units} units of work): about {forecast.seconds / 60:.0f} minutes"
    )
    if not forecast.within_budget:
        say("that is over the budget: it is the least that can be done")
    say(f"more time: {forecast.more_time}")


def show(view: TuneView) -> None:
    """Say what was found."""
    from kbsync.cli.output import count, say

    say(
        f"recipe {view.recipe}: score {view.score:.2f} on {count(view.facts, 'development fact')}, the best of "
        f"{count(view.trials, 'trial')}"
    )
    if view.refusal:
        say(f"it is not written: {view.refusal}")
    else:
        say(f"written to {view.file}; it should hold up to {view.capacity} facts in one version")
    say(f"more time: {view.more_time}")
