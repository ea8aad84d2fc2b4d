"""``kbsync bench counterfact``, ``zsre`` and ``scaling``: the protocol of the MEMIT paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    CasesOption,
    CorpusOption,
    DataArgument,
    EditsOption,
    HeldOutOption,
    InContextOption,
    KnownOption,
    ModelOption,
    OutputOption,
    PartOption,
    RecipesOption,
    SeedOption,
    StateOption,
    TargetsOption,
    TextsOption,
    TokensOption,
    counts_of,
    data_of,
    require_matplotlib,
    session_of,
    session_options,
    targets_of,
)

if TYPE_CHECKING:
    from kbsync.research.session import ResearchSession


@verb(
    "bench counterfact",
    examples=[
        "kbsync bench counterfact counterfact.json --edits 100",
        "kbsync bench counterfact cf.json.gz --recipe memit --recipe rome --texts 20",
        "kbsync bench counterfact cf.json --edits 100 --known --phrasings gemma-3-270m",
        "kbsync bench counterfact cf.json --edits 100 --known --base-only --in-context",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def counterfact(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: RecipesOption = None,
    edits: EditsOption = 100,
    cases: CasesOption = None,
    texts: TextsOption = 0,
    snippets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The published attribute snippets; with them, consistency is measured, too.",
            exists=True,
        ),
    ] = None,
    part: PartOption = "test",
    known: KnownOption = False,
    in_context: InContextOption = False,
    base_only: Annotated[
        bool,
        typer.Option(
            "--base-only", help="Edit nothing: what the base says, and with `--in-context` the base that is told."
        ),
    ] = False,
    phrasings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A recipe for a further line, `phrasings`: each case is written in its published prompt and in the "
            "edit phrasings that are shipped for its relation. The published paraphrases are measured, and none is "
            "written.",
        ),
    ] = None,
    relation_ids: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Records with case_id and relation_id, where those of the benchmark name no relation.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Write counterfactual answers into the base all at once, and measure the edited model (CounterFact).

    Reads model, recipe and text from the configuration where no option says otherwise, and touches no ledger and no
    version. Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.research.finish import finish
    from kbsync.research.bench import Extent, run_counterfact
    from kbsync.research.consistency import read_references

    if base_only and (recipe or phrasings):
        raise typer.BadParameter(
            "it edits nothing, so it takes neither --recipe nor --phrasings", param_hint="--base-only"
        )
    options = session_options(context, model, recipe, state, corpus, held_out)
    extent = Extent(cases=cases, texts=texts, answer_tokens=answer_tokens, in_context=in_context)
    targets = targets_of(target)
    with session_of(context, options) as session:
        lines = [] if base_only else session.algorithms()
        if phrasings:
            lines.append(session.in_all_phrasings(phrasings, data, relation_ids))
        document = run_counterfact(
            session.bench(),
            data_of(data, part, seed, known),
            lines,
            edits=edits,
            extent=extent,
            references=read_references(snippets) if snippets else None,
            targets=targets,
        )
        output = output or _default("counterfact-base" if base_only else "counterfact", session)
    finish(document, output, json=json)


@verb(
    "bench zsre",
    examples=["kbsync bench zsre zsre_mend_eval.json --edits 100"],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def zsre(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: RecipesOption = None,
    edits: EditsOption = 100,
    cases: CasesOption = None,
    part: PartOption = "test",
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Write right answers to questions into the base all at once, and measure the edited model (zsRE).

    Reads model, recipe and text from the configuration where no option says otherwise, and touches no ledger and no
    version. Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.research.finish import finish
    from kbsync.research.bench import Extent, run_zsre

    options = session_options(context, model, recipe, state, corpus, held_out)
    extent = Extent(cases=cases, answer_tokens=answer_tokens)
    targets = targets_of(target)
    with session_of(context, options) as session:
        bench, lines = session.bench(), session.algorithms()
        document = run_zsre(bench, data_of(data, part, seed), lines, edits=edits, extent=extent, targets=targets)
        output = output or _default("zsre", session)
    finish(document, output, json=json)


@verb(
    "bench scaling",
    examples=[
        "kbsync bench scaling counterfact.json --recipe memit --recipe rome:100 --sizes 1,10,100,1000 --cases 100",
        "kbsync bench scaling counterfact.json --recipe mend:100 --sizes 1,10,100,1000 --cases 100 --keep",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def scaling(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:N]",
            help="A line for each, up to N edits. May be repeated. Default: the configured recipe.",
        ),
    ] = None,
    sizes: Annotated[str, typer.Option(metavar="LIST", help="Numbers of edits.")] = "1,10,100,1000",
    cases: CasesOption = None,
    part: PartOption = "test",
    known: KnownOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave the lines that stand in the output file and are not measured now."),
    ] = False,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Measure CounterFact at several numbers of edits, each from the base (figure 5 of the MEMIT paper).

    Draws a plot beside the JSON file.

    Reads model, recipe and text from the configuration where no option says otherwise, and touches no ledger and no
    version. Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.output import say
    from kbsync.cli.research.finish import finish
    from kbsync.research.bench import Extent, run_scaling
    from kbsync.research.kept_lines import with_kept_lines
    from kbsync.research.plots import plot_scaling

    require_matplotlib()
    counts = counts_of(sizes, "--sizes")
    ends = _lines(recipe or ())
    options = session_options(context, model, list(ends), state, corpus, held_out)
    extent = Extent(cases=cases, answer_tokens=answer_tokens)
    targets = targets_of(target)
    with session_of(context, options) as session:
        bench, lines = session.bench(), session.algorithms({name: most for name, most in ends.items() if most})
        document = run_scaling(
            bench, data_of(data, part, seed, known), lines, sizes=counts, extent=extent, targets=targets
        )
        output = output or _default("scaling", session)
    if keep and output.is_file():
        document = with_kept_lines(document, loads(output.read_text(encoding="utf-8")))
    finish(document, output, json=json)
    plot_scaling(output, output.with_suffix(".png"))
    if not json:
        say(f"drawn in {output.with_suffix('.png')}")


def _lines(texts: Sequence[str]) -> dict[str, int]:
    """The most edits of each recipe's line (0: no limit), from ``NAME`` or ``NAME:N``."""
    ends: dict[str, int] = {}
    for text in texts:
        name, colon, most = text.partition(":")
        if colon and not re.fullmatch(r"[1-9]\d*", most):
            raise typer.BadParameter(f"--recipe is NAME or NAME:N, not {text!r}")
        if name in ends:
            raise typer.BadParameter(f"--recipe {name} is given twice")
        ends[name] = int(most or 0)
    return ends


def _default(benchmark: str, session: ResearchSession) -> Path:
    from kbsync.cli.research.finish import RESULTS

    return RESULTS / f"{benchmark}-{session.model_name}.json"
