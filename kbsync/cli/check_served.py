"""``kbsync check-served``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.stages.evaluate.served import ServedCheck

_SHOWN = 20


@verb(
    "check-served",
    examples=[
        "kbsync check-served http://127.0.0.1:8080",
        "kbsync check-served http://127.0.0.1:8000 3 --model kbsync --sample 20",
    ],
    exits=[3, 66, 69, 74, 76],
    prints="kbsync.stages.evaluate.served:ServedCheck",
    changes="",
)
def check_served(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="The address of an OpenAI-compatible server.")],
    number: Annotated[
        int | None,
        typer.Argument(metavar="N", help="The version that it is to serve. Default: the current one.", min=1),
    ] = None,
    model: Annotated[
        str, typer.Option(help="What the server calls the version. Default: [served] model, or its only model.")
    ] = "",
    extra: Annotated[str, typer.Option(help="More fields of each request, as a JSON object.")] = "",
    sample: Annotated[
        int | None, typer.Option(help="Largest number of prompts of each group. Default: all.", min=1)
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Longest silence of the server, in seconds.", min=0.1)] = None,
    json: JsonOption = False,
) -> None:
    """Ask a server the gate's prompts, and judge its answers as the gate judges.

    Ends with code 3 if the gate's policy does not hold for the server's answers. Names every fact that was right when
    the version was measured and is not right as it is served, and says whether the server answers as the base or the
    version before did. So it finds another quantisation than the one that was edited, an adapter that was cut or is not
    loaded, and a server that still has an older version. Nothing is changed. Figures that need probabilities or running
    text (perplexity, fluency) are not measured.
    """
    from kbsync.bootstrap.adapters import server
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.domain.errors import GateRefused
    from kbsync.operations.check_served import check
    from kbsync.system.hidden import hide, secrets_in_url

    hide(secrets_in_url(url))
    changes: dict[str, Any] = {"url": url}
    changes |= {"model": model} if model else {}
    changes |= {"extra": _object(extra)} if extra else {}
    with application(context) as app:
        settings = app.settings.served.model_copy(update=changes)
        if timeout is not None:
            from datetime import timedelta

            settings = settings.model_copy(update={"timeout": timedelta(seconds=timeout)})
        complete = server(settings, app.settings.model.base_answer_tokens, app.work)
        result = check(app, complete, number, sample or settings.sample)
    if json:
        emit(result)
    else:
        show(result)
    if not result.decision.passed:
        raise typer.Exit(GateRefused.exit_code)


def _object(text: str) -> dict[str, Any]:
    import json

    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--extra is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("--extra is not a JSON object.")
    return value


def show(result: ServedCheck) -> None:
    from kbsync.cli.output import count, say, table

    if not result.version:
        say("the base is current: nothing to ask")
        return
    rows = [(f.name, f"{f.served:.3f}", f"{f.measured:.3f}", f.samples) for f in result.figures]
    table(("figure", "#as served", "#as measured", "#prompts"), rows)
    for fact in result.lost[:_SHOWN]:
        state = "stale" if fact.stale else "lost"
        say(f"{state}: {fact.subject} {fact.property}: {fact.prompt!r} gives {fact.answer!r}, not {fact.expected!r}")
    if len(result.lost) > _SHOWN:
        say(f"and {len(result.lost) - _SHOWN} more, which --json names")
    for reason in result.decision.reasons:
        if not reason.holds:
            say(f"{'warning' if reason.warning else 'does not hold'}: {reason.text}")
    if result.finding:
        say(result.finding)
    verdict = "holds" if result.decision.passed else "does not hold"
    asked = f"{count(result.asked, 'prompt')}, {result.same} answered in the words of the evaluation"
    say(f"version {result.version} {verdict} as it is served ({asked})")
